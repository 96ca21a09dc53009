# SPDX-License-Identifier: MIT
"""Command `buildernet-node`. Each subcommand imports its module when it is chosen."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final, TypeAlias

from buildernet.base import command
from buildernet.base.paths import MEASURED_BOOT_DIR, SYSTEM_API_FIFO

_Verbs: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"

_EXAMPLES: Final = """\
examples:
  buildernet-node measured-boot
  buildernet-node event "disk unlocked"
  buildernet-node haproxy-certificate
  buildernet-node registration --config /etc/buildernet/node-registration.toml
  buildernet-node firewall /usr/share/buildernet/ports.toml --variant production > nftables.conf
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    arguments = command.parse(_parser(), argv)
    return command.run(
        lambda: arguments.run(arguments), program="buildernet-node", debug=arguments.debug
    )


def _measured_boot(arguments: argparse.Namespace) -> None:
    from buildernet.node.measured_boot import Sources, collect

    collect(Sources.below(arguments.sysfs), out=arguments.out, console=sys.stdout)


def _event(arguments: argparse.Namespace) -> None:
    from buildernet.node.event import send_event

    send_event(arguments.message, fifo=arguments.pipe_file)


def _firewall(arguments: argparse.Namespace) -> None:
    from buildernet.node.firewall import read_ports, ruleset

    print(ruleset(read_ports(arguments.ports_file), variant=arguments.variant), end="")


def _haproxy_certificate(arguments: argparse.Namespace) -> None:
    from buildernet.node.haproxy import replace_certificate

    name = replace_certificate(arguments.folder, admin_socket=arguments.admin_socket)
    print(f"replaced {name}")


def _registration(arguments: argparse.Namespace) -> None:
    from buildernet.base import config, logs
    from buildernet.node.registration import keep_registered
    from buildernet.node.registration_config import ENVIRONMENT_PREFIX, RegistrationConfig

    settings = config.load(
        RegistrationConfig,
        path=arguments.config,
        prefix=ENVIRONMENT_PREFIX,
        environment=os.environ,
        overrides={"tsm_dir": arguments.tsm_dir},
    )
    logs.configure(as_json=settings.log_json, debug=False)
    keep_registered(settings)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="buildernet-node",
        description="What a node does for itself, at boot and when its image is built.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for add in (
        _add_measured_boot,
        _add_event,
        _add_haproxy_certificate,
        _add_registration,
        _add_firewall,
    ):
        add(commands)
    return parser


def _add_measured_boot(commands: _Verbs) -> None:
    measured = commands.add_parser(
        "measured-boot", help="keep and print what the firmware measured (root, once per boot)"
    )
    measured.add_argument(
        "--sysfs", type=Path, default=Path("/sys"), metavar="DIR", help="default: /sys"
    )
    measured.add_argument(
        "--out",
        type=Path,
        default=MEASURED_BOOT_DIR,
        metavar="DIR",
        help=f"default: {MEASURED_BOOT_DIR}",
    )
    measured.set_defaults(run=_measured_boot)


def _add_event(commands: _Verbs) -> None:
    event = commands.add_parser("event", help="report an event to system-api")
    event.add_argument("message", metavar="MESSAGE", help="one line")
    event.add_argument(
        "--pipe-file",
        type=Path,
        default=SYSTEM_API_FIFO,
        metavar="PATH",
        help=f"default: {SYSTEM_API_FIFO}",
    )
    event.set_defaults(run=_event)


def _add_haproxy_certificate(commands: _Verbs) -> None:
    haproxy = commands.add_parser(
        "haproxy-certificate", help="give HAProxy the node's newest certificate (root)"
    )
    haproxy.add_argument(
        "--folder",
        type=Path,
        default=Path("/run/attested-proxy"),
        metavar="DIR",
        help="has cert.pem and key.pem (default: /run/attested-proxy)",
    )
    haproxy.add_argument(
        "--admin-socket",
        type=Path,
        default=Path("/run/haproxy/admin.sock"),
        metavar="PATH",
        help="default: /run/haproxy/admin.sock",
    )
    haproxy.set_defaults(run=_haproxy_certificate)


def _add_registration(commands: _Verbs) -> None:
    registration = commands.add_parser(
        "registration", help="keep the node registered at the hub, with evidence (root)"
    )
    registration.add_argument("--config", type=Path, metavar="FILE", help="TOML file")
    registration.add_argument("--tsm-dir", metavar="DIR", help="folder of configfs-tsm's reports")
    registration.set_defaults(run=_registration)


def _add_firewall(commands: _Verbs) -> None:
    firewall = commands.add_parser(
        "firewall", help="print the nftables ruleset for a list of open ports (build time)"
    )
    firewall.add_argument("ports_file", type=Path, metavar="PORTS_FILE", help="ports.toml")
    firewall.add_argument(
        "--variant",
        choices=("production", "development"),
        default="production",
        help="which image (default: production)",
    )
    firewall.set_defaults(run=_firewall)


if __name__ == "__main__":
    sys.exit(main())
