# SPDX-License-Identifier: MIT
"""Command `system-api`."""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from buildernet.base import command, config, logs

_EXAMPLES: Final = """\
examples:
  system-api --config /etc/buildernet/system-api.toml
  system-api --listen-addr 127.0.0.1:3535 --pipe-file /tmp/events.fifo
  SYSTEM_API_GENERAL_LOG_MAX_ENTRIES=50 system-api --pipe-file /tmp/events.fifo

A flag wins over the environment, the environment over the file, the file over the defaults.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    arguments = command.parse(_parser(), argv)
    return command.run(lambda: _serve(arguments), program="system-api", debug=arguments.debug)


def _serve(arguments: argparse.Namespace) -> None:
    # Here, so that --help and a wrong flag answer at once on a slow processor.
    import uvloop

    from buildernet.net.address import ListenAddress
    from buildernet.net.server import serve
    from buildernet.system_api.app import build_app
    from buildernet.system_api.config import (
        ENVIRONMENT_PREFIX,
        SystemApiConfig,
    )

    flags = {
        "general.listen_addr": arguments.listen_addr,
        "general.pipe_file": arguments.pipe_file,
        "general.log_debug": "true" if arguments.log_debug else None,
    }
    settings = config.load(
        SystemApiConfig,
        path=arguments.config,
        prefix=ENVIRONMENT_PREFIX,
        environment=os.environ,
        overrides=flags,
    )
    general = settings.general
    logs.configure(as_json=general.log_json, debug=general.log_debug)
    uvloop.run(serve(build_app(settings), ListenAddress.parse(general.listen_addr)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="system-api",
        description="The operator API of a BuilderNet node: health, events, boot measurements.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="TOML file")
    parser.add_argument(
        "--listen-addr", metavar="HOST:PORT", help="where to listen (default: 0.0.0.0:3535)"
    )
    parser.add_argument(
        "--pipe-file",
        metavar="PATH",
        help="FIFO that takes one event per line (default: /run/system-api/events.fifo)",
    )
    parser.add_argument("--log-debug", action="store_true", help="log every request")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return parser
