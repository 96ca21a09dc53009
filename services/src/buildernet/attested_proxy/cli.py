# SPDX-License-Identifier: MIT
"""Command `attested-proxy`: `server` in the node, `client` before a service outside."""

import argparse
import os
from collections.abc import Sequence
from typing import Final

from buildernet.base import command, config, logs
from buildernet.base.flags import add_verb, ignored_value, overrides

_EXAMPLES: Final = """\
examples:
  attested-proxy server --listen-addr 0.0.0.0:7936 --target-addr http://localhost:14727
  attested-proxy server --listen-addr 0.0.0.0:7936 --serve-certificate --certificate-hosts 10.0.0.5
  attested-proxy client --listen-addr localhost:7937 --target-addr https://hub.example:443 \\
      --client-attestation-type auto --allowed-remote-attestation-type none

A flag wins over the environment, the environment over the file, the file over the defaults.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    arguments = command.parse(_parser(), argv)
    run = _serve if arguments.verb == "server" else _connect
    return command.run(lambda: run(arguments), program="attested-proxy", debug=arguments.debug)


def _serve(arguments: argparse.Namespace) -> None:
    # Here, so that --help and a wrong flag answer at once on a slow processor.
    import uvloop

    from buildernet.attested_proxy.config import ServerConfig
    from buildernet.attested_proxy.flags import SERVER
    from buildernet.attested_proxy.running import run_server

    found = overrides(arguments, SERVER, os.environ)
    if arguments.target is not None:
        found["target_addr"] = arguments.target
    settings = config.load(ServerConfig, path=arguments.config, overrides=found)
    logs.configure(as_json=settings.logging.log_json, debug=settings.logging.log_debug)
    uvloop.run(run_server(settings))


def _connect(arguments: argparse.Namespace) -> None:
    import uvloop

    from buildernet.attested_proxy.config import ClientConfig
    from buildernet.attested_proxy.flags import CLIENT
    from buildernet.attested_proxy.running import run_client

    found = overrides(arguments, CLIENT, os.environ)
    if arguments.target is not None:
        found["target_addr"] = arguments.target
    if ignored_value(arguments, "--server-attestation-type") == "none":
        found.setdefault("peers.allowed_remote_attestation_type", "none")
    settings = config.load(ClientConfig, path=arguments.config, overrides=found)
    logs.configure(as_json=settings.logging.log_json, debug=settings.logging.log_debug)
    uvloop.run(run_client(settings))


def _parser() -> argparse.ArgumentParser:
    from buildernet.attested_proxy.flags import CLIENT, SERVER

    parser = argparse.ArgumentParser(
        prog="attested-proxy",
        description="HTTP proxies whose other end proves which software it runs.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for verb, text, flags in (
        ("server", "attested TLS in, plain HTTP out", SERVER),
        ("client", "plain HTTP in, attested TLS out", CLIENT),
    ):
        sub = add_verb(verbs, verb, text, flags)
        sub.add_argument("target", nargs="?", help="the same as --target-addr")
    return parser
