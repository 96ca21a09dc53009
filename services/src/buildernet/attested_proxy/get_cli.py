# SPDX-License-Identifier: MIT
"""Commands `attested-get` and `get-measurements`: look at one node from outside.

Both verify the node's evidence. `attested-get` then fetches a path; `get-measurements` sends
nothing. With expected measurements a node that does not fit them fails the command, before a
request is sent.
"""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from buildernet.base import command, config, logs
from buildernet.base.errors import BuildernetError, UsageError
from buildernet.base.flags import add_flags, overrides

if TYPE_CHECKING:
    from buildernet.attested_proxy.config import PeerPolicy
    from buildernet.attested_proxy.evidence import Peer
    from buildernet.attested_proxy.target import Target

_EXAMPLES: Final = """\
examples:
  {program} https://10.0.0.5:7936/cert --expected-measurements measurements.json
  {program} --addr https://10.0.0.5:7936 --expected-measurements https://measurements.example
  {program} 10.0.0.5:7936/cert --expected-measurements measurements.json --json
"""

_DEFAULT_ADDRESS: Final = "https://localhost:7936"


class _OutputError(BuildernetError):
    """A result cannot be written."""


def main_get(argv: Sequence[str] | None = None) -> int:
    """Run `attested-get` and return its exit code."""
    arguments = command.parse(_parser("attested-get", request=True), argv)
    return command.run(lambda: _get(arguments), program="attested-get", debug=arguments.debug)


def main_measurements(argv: Sequence[str] | None = None) -> int:
    """Run `get-measurements` and return its exit code."""
    arguments = command.parse(_parser("get-measurements", request=False), argv)
    return command.run(
        lambda: _measurements(arguments), program="get-measurements", debug=arguments.debug
    )


def _get(arguments: argparse.Namespace) -> None:
    import asyncio

    from buildernet.attested_proxy import get
    from buildernet.attested_proxy.dial import WireProtocol

    target, peers = _prepare(arguments)
    fetched = asyncio.run(get.fetch(target, peers=peers, protocol=WireProtocol(arguments.protocol)))
    _report(arguments, fetched.peer)
    if arguments.out_response is not None:
        _write(arguments.out_response, fetched.body)
    if arguments.json:
        document = {
            **_document(fetched.peer),
            "status": fetched.status,
            "body": fetched.body.decode("utf-8", "replace"),
        }
        sys.stdout.write(f"{json.dumps(document)}\n")
    else:
        sys.stdout.flush()
        sys.stdout.buffer.write(fetched.body)
        sys.stdout.buffer.flush()
    if fetched.status >= 400:
        raise _OutputError(f"the node answers with status {fetched.status}")


def _measurements(arguments: argparse.Namespace) -> None:
    import asyncio

    from buildernet.attested_proxy import get
    from buildernet.attested_proxy.dial import WireProtocol

    target, peers = _prepare(arguments)
    peer = asyncio.run(get.inspect(target, peers=peers, protocol=WireProtocol(arguments.protocol)))
    _report(arguments, peer)
    if arguments.json:
        sys.stdout.write(f"{json.dumps(_document(peer))}\n")


def _prepare(arguments: argparse.Namespace) -> "tuple[Target, PeerPolicy]":
    from buildernet.attested_proxy.config import AUTO, PeerPolicy
    from buildernet.attested_proxy.flags import GET
    from buildernet.attested_proxy.target import Target

    logs.configure(as_json=False, debug=arguments.log_debug == "true")
    if arguments.address is not None and arguments.addr is not None:
        raise UsageError("the address is given twice")
    text = arguments.address or arguments.addr or _DEFAULT_ADDRESS
    if arguments.url_path:
        text = f"{text.rstrip('/')}/{arguments.url_path.lstrip('/')}"
    target = Target.parse(text, default_scheme="https")
    if target.url.scheme != "https":
        raise UsageError("the address needs to start with https://")
    peers = config.load(PeerPolicy, overrides=overrides(arguments, GET, os.environ))
    if arguments.attestation_type not in (None, AUTO):
        peers = replace(peers, allowed_remote_attestation_type=arguments.attestation_type)
    if peers.measurements is None and not peers.demands_nothing:
        sys.stderr.write("warning: no expected measurements given: nothing is compared\n")
        peers = replace(peers, dangerously_accept_any_measurement=True)
    return target, peers


def _report(arguments: argparse.Namespace, peer: "Peer") -> None:
    """Write what the node proves: to the file, and for people to the terminal."""
    from buildernet.attested_proxy.headers import numbered

    text = json.dumps(numbered(peer), indent=4)
    if arguments.out_measurements is not None:
        _write(arguments.out_measurements, f"{text}\n".encode())
    if not arguments.json:
        verdict = f"fits {peer.record!r}" if peer.record is not None else "not compared"
        sys.stderr.write(f"verified: {peer.attestation_type}, {verdict}\n")
        sys.stdout.write(f"{text}\n")


def _document(peer: "Peer") -> dict[str, object]:
    from buildernet.attested_proxy.headers import numbered

    return {
        "attestation_type": peer.attestation_type,
        "measurement_id": peer.record,
        "measurements": numbered(peer),
    }


def _write(path: Path, data: bytes) -> None:
    try:
        path.write_bytes(data)
    except OSError as exc:
        raise _OutputError(f"cannot write {path}: {exc.strerror}") from exc


def _parser(program: str, *, request: bool) -> argparse.ArgumentParser:
    from buildernet.attested_proxy.flags import GET

    parser = argparse.ArgumentParser(
        prog=program,
        description="Verify a node's evidence" + (", then fetch a path." if request else "."),
        epilog=_EXAMPLES.format(program=program),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("address", nargs="?", help="URL or HOST[:PORT][/PATH]")
    parser.add_argument("--addr", metavar="URL", help=f"the same (default: {_DEFAULT_ADDRESS})")
    parser.add_argument("--url-path", metavar="PATH", help="path behind the address")
    parser.add_argument(
        "--protocol", choices=["auto", "a", "b", "b+http/1.1", "b+h2"], default="auto"
    )
    parser.add_argument("--attestation-type", metavar="TYPE", help="auto, dcap-tdx or azure-tdx")
    parser.add_argument("--out-measurements", type=Path, metavar="FILE")
    if request:
        parser.add_argument("--out-response", type=Path, metavar="FILE")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    parser.add_argument("--log-debug", nargs="?", const="true", metavar="BOOL")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    add_flags(parser, GET)
    return parser
