# SPDX-License-Identifier: MIT
"""Command line: `mount` the simulated configfs-tsm, `collateral` for its quotes, `mint` a chain."""

import argparse
import errno
import os
import socket
import sys
import time
from pathlib import Path

from buildernet.attestation.collateral.documents import encode_bundle
from buildernet.attestation.registers import Digest48
from buildernet.base.errors import BuildernetError
from buildernet.measure.mrtd import compute_mrtd
from tests.support.minted_chain import mint_chain
from tests.support.simulated_tee.chain import PUBLIC_CHAIN, collateral_at, load_chain, save_chain
from tests.support.simulated_tee.filesystem import serve
from tests.support.simulated_tee.platform import (
    SimulatedPlatform,
    booted_firmware,
    domain_of_boot,
    mrtd_of_firmware,
)
from tests.support.simulated_tee.report import EMPTY_FAULT, ReportTree


def main() -> int:
    """Run a subcommand; 0 when done, 1 with one line of reason."""
    arguments = _parser().parse_args()
    try:
        arguments.run(arguments)
    except (BuildernetError, OSError, ValueError, RuntimeError) as exc:
        print(f"simulated-tee: {exc}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="simulated-tee", description=__doc__)
    commands = parser.add_subparsers(required=True)

    mount = commands.add_parser("mount", help="mount the folder `report` of configfs-tsm")
    mount.add_argument("mount_point", help="an empty folder")
    mount.add_argument("--event-log", type=Path, required=True, help="TPM log or CCEL data")
    mrtd = mount.add_mutually_exclusive_group(required=True)
    mrtd.add_argument("--mrtd", help="96 hex digits")
    mrtd.add_argument("--firmware", type=Path, help="OVMF that booted; MRTD is computed")
    mrtd.add_argument("--booted-firmware", action="store_true", help="read it from memory")
    mount.add_argument("--chain", type=Path, default=PUBLIC_CHAIN, help="keys (default: public)")
    mount.add_argument("--pad-to", type=int, default=0, help="length of outblob, as Google pads")
    mount.add_argument("--fault", type=_fault, action="append", default=[], help="spoil one quote")
    mount.add_argument("--no-provider", action="store_true", help="as if no TEE was there")
    mount.add_argument("--collateral", type=Path, help="also write a bundle, before it is mounted")
    mount.set_defaults(run=_mount)

    collateral = commands.add_parser("collateral", help="write a bundle valid for 29 days")
    collateral.add_argument("output", type=Path)
    collateral.add_argument("--chain", type=Path, default=PUBLIC_CHAIN)
    collateral.add_argument("--at", type=int, default=None, help="Unix time (default: now)")
    collateral.set_defaults(run=_collateral)

    mint = commands.add_parser("mint", help="make a new chain")
    mint.add_argument("directory", type=Path)
    mint.set_defaults(run=lambda arguments: save_chain(mint_chain(), arguments.directory))
    return parser


def _fault(name: str) -> str:
    if name != EMPTY_FAULT and not isinstance(getattr(errno, name, None), int):
        raise argparse.ArgumentTypeError(f"{name} is neither an errno nor {EMPTY_FAULT!r}")
    return name


def _mount(arguments: argparse.Namespace) -> None:
    if arguments.mrtd is not None:
        mrtd = Digest48.parse(arguments.mrtd)
    elif arguments.booted_firmware:
        mrtd = compute_mrtd(memoryview(booted_firmware())).single_pass
    else:
        mrtd = mrtd_of_firmware(arguments.firmware)
    platform = SimulatedPlatform(
        chain=load_chain(arguments.chain),
        domain=domain_of_boot(arguments.event_log.read_bytes(), mrtd),
        padded_bytes=arguments.pad_to,
    )
    quote = None if arguments.no_provider else platform.quote
    if arguments.collateral is not None:
        _write_collateral(arguments.collateral, arguments.chain, int(time.time()))
    tree = ReportTree(quote, faults=arguments.fault)
    serve(tree, arguments.mount_point, on_mounted=_tell_systemd)


def _collateral(arguments: argparse.Namespace) -> None:
    at = int(time.time()) if arguments.at is None else arguments.at
    _write_collateral(arguments.output, arguments.chain, at)


def _write_collateral(path: Path, chain: Path, at: int) -> None:
    path.write_text(encode_bundle([collateral_at(load_chain(chain), at)]))


def _tell_systemd() -> None:
    """Say READY=1; the unit is of type notify, so that clients find the mount."""
    address = os.environ.get("NOTIFY_SOCKET")
    if address:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as connection:
            connection.connect(address.replace("@", "\0", 1))
            connection.send(b"READY=1")


if __name__ == "__main__":
    sys.exit(main())
