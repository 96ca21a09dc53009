# SPDX-License-Identifier: MIT
"""Command `orderflow-proxy`: `receiver` in the node, `sender` outside it."""

import argparse
import gc
import os
from collections.abc import Sequence
from typing import Final

from buildernet.base import command, config, logs
from buildernet.base.errors import UsageError
from buildernet.base.flags import add_verb, ignored_value, overrides

_EXAMPLES: Final = """\
examples:
  orderflow-proxy receiver --config /etc/buildernet/orderflow-proxy.toml
  orderflow-proxy receiver --user-listen-addr 127.0.0.1:5543 --builder-endpoint http://127.0.0.1:8645
  BUILDERHUB_ENDPOINT=http://127.0.0.1:7937 orderflow-proxy receiver --builder-name node_1
  orderflow-proxy sender --orderflow-signer-key-file key --builder-confighub-endpoint https://hub.example

A flag wins over the environment, the environment over the file, the file over the defaults.
"""

_BODY_LIMIT: Final = "limits.max_body_bytes"

_YOUNG_OBJECTS: Final = 10_000
"""Between two looks of the garbage collector, which finds little: orders leave no cycles."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    arguments = command.parse(_parser(), argv)
    run = _send if arguments.verb == "sender" else _receive
    return command.run(lambda: run(arguments), program="orderflow-proxy", debug=arguments.debug)


def _receive(arguments: argparse.Namespace) -> None:
    # Here, so that --help and a wrong flag answer at once on a slow processor.
    import uvloop

    from buildernet.orderflow_proxy.config import ENVIRONMENT_PREFIX, ReceiverConfig
    from buildernet.orderflow_proxy.flags import RECEIVER
    from buildernet.orderflow_proxy.running import run_receiver

    found = overrides(arguments, RECEIVER, os.environ)
    if found.get(_BODY_LIMIT) == "0":  # the Go proxy's way of saying: the default
        del found[_BODY_LIMIT]
    settings = config.load(
        ReceiverConfig,
        path=arguments.config,
        prefix=ENVIRONMENT_PREFIX,
        environment=os.environ,
        overrides=found,
    )
    logs.configure(as_json=settings.logging.log_json, debug=settings.logging.log_debug)
    _settle_memory()
    uvloop.run(run_receiver(settings))


def _send(arguments: argparse.Namespace) -> None:
    import uvloop

    from buildernet.orderflow_proxy.sender import run_sender
    from buildernet.orderflow_proxy.sender_config import (
        KEY_FLAG,
        KEY_VARIABLE,
        SENDER,
        SenderConfig,
        load_key,
    )

    if ignored_value(arguments, KEY_FLAG) is not None:
        raise UsageError(
            f"{KEY_FLAG} shows the key to everybody on this machine",
            hint=f"make another one and give {KEY_FLAG}-file FILE, or {KEY_VARIABLE}",
        )
    found = overrides(arguments, SENDER, os.environ)
    if found.get("max_body_bytes") == "0":
        del found["max_body_bytes"]
    settings = config.load(SenderConfig, path=arguments.config, overrides=found)
    logs.configure(as_json=settings.log_json, debug=settings.log_debug)
    _settle_memory()
    uvloop.run(run_sender(settings, load_key(settings, os.environ)))


def _settle_memory() -> None:
    """Take what the imports made out of the garbage collector's view: no order waits for it."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS, *gc.get_threshold()[1:])


def _parser() -> argparse.ArgumentParser:
    from buildernet.orderflow_proxy.flags import RECEIVER
    from buildernet.orderflow_proxy.sender_config import SENDER

    parser = argparse.ArgumentParser(
        prog="orderflow-proxy",
        description="Takes orders from users and peers; hands them to the builder and the network.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    text = "in the node: users and peers in, builder, peers and archive out"
    add_verb(verbs, "receiver", text, RECEIVER)
    text = "outside the nodes: plain HTTP in, signed and sent to every node"
    add_verb(verbs, "sender", text, SENDER)
    return parser
