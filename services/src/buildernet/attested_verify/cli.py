# SPDX-License-Identifier: MIT
"""Command `attested-verify`: check saved evidence offline and explain the result step by step.

Exit codes: 0 verified, 1 refused, 2 wrong usage or unusable input.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from buildernet.attestation.collateral import TCBStatus
from buildernet.attestation.errors import VerificationError
from buildernet.attested_verify import report
from buildernet.attested_verify.evidence import Accepted, verify_azure, verify_tdx, verify_tpm
from buildernet.base import command
from buildernet.base.errors import EXIT_OK

PROGRAM: Final = "attested-verify"

_EXAMPLES: Final = """\
examples:
  attested-verify --quote quote.bin --fetch-collateral bundle.json
  attested-verify --quote quote.bin --collateral bundle.json
  attested-verify --quote quote.bin --collateral collateral.yaml --at 1769509141 \\
      --measurements https://measurements.buildernet.org --report-data 00ff...
  attested-verify --azure evidence.json --collateral bundle.json --report-data 00ff...
  attested-verify --tpm-quote quote.msg --tpm-signature quote.sig --ak ak.pem \\
      --pcrs registers.json --nonce 00ff... --measurements measurements.json

Steps A to L are explained in docs/protocols/tdx-verification.md, Z and T in evidence.md.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    arguments = command.parse(_parser(), argv)
    return command.run(lambda: _run(arguments), program=PROGRAM, debug=arguments.debug)


def _run(arguments: argparse.Namespace) -> int:
    for path, whose in ((arguments.root, "Intel's"), (arguments.ak_root, "Azure's")):
        if path is not None:
            note = f"trusting the roots of {path}, not {whose}"
            print(f"{PROGRAM}: note: {note}", file=sys.stderr)
    try:
        accepted = _verify(arguments)
    except VerificationError as error:
        if arguments.json:
            print(json.dumps(report.refusal_as_json(error), indent=2))
        else:
            print("\n".join(report.refusal_as_lines(error)))
        raise
    if arguments.json:
        print(json.dumps(report.accepted_as_json(accepted), indent=2))
    else:
        print("\n".join(report.accepted_as_lines(accepted)))
    return EXIT_OK


def _verify(arguments: argparse.Namespace) -> Accepted:
    if arguments.azure is not None:
        return verify_azure(arguments)
    return verify_tdx(arguments) if arguments.tpm_quote is None else verify_tpm(arguments)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Check saved evidence of a trust domain and explain the result step by step.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_evidence(parser)
    _add_demands(parser)
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return parser


def _add_evidence(parser: argparse.ArgumentParser) -> None:
    kinds = parser.add_mutually_exclusive_group(required=True)
    kinds.add_argument("--quote", type=Path, metavar="FILE", help="TDX quote, version 4 or 5")
    kinds.add_argument(
        "--azure", type=Path, metavar="FILE", help="evidence of an Azure confidential VM, JSON"
    )
    kinds.add_argument(
        "--tpm-quote", type=Path, metavar="FILE", help="TPMS_ATTEST, as tpm2_quote -m writes it"
    )
    tdx = parser.add_argument_group("with --quote or --azure")
    source = tdx.add_mutually_exclusive_group()
    source.add_argument(
        "--collateral",
        type=Path,
        metavar="FILE",
        help="dcap-qvl's JSON, the same as YAML, or a bundle",
    )
    source.add_argument(
        "--fetch-collateral",
        type=Path,
        metavar="FILE",
        help="get it from Intel now and keep it in FILE for the next time",
    )
    tdx.add_argument(
        "--pccs-url", metavar="URL", help="fetch from this PCCS instead of Intel's service"
    )
    azure = parser.add_argument_group("with --azure")
    azure.add_argument(
        "--ak-root",
        type=Path,
        metavar="PEM",
        help="trust these roots of attestation keys instead of Azure's, for a simulated platform",
    )
    issuers = azure.add_mutually_exclusive_group()
    issuers.add_argument(
        "--ak-issuers", type=Path, metavar="PEM", help="intermediate certificates not sent along"
    )
    issuers.add_argument(
        "--fetch-ak-issuers",
        action="store_true",
        help="get them from the addresses that the evidence names; they are told that you look",
    )
    tpm = parser.add_argument_group("with --tpm-quote")
    tpm.add_argument(
        "--tpm-signature", type=Path, metavar="FILE", help="TPMT_SIGNATURE, as tpm2_quote -s"
    )
    tpm.add_argument("--ak", type=Path, metavar="PEM", help="attestation key that you trust")
    tpm.add_argument("--pcrs", type=Path, metavar="FILE", help="PCR values: a registers.json")
    tpm.add_argument("--nonce", metavar="HEX", help="what the quote must include")


def _add_demands(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--at",
        type=int,
        metavar="UNIX_TIME",
        default=int(time.time()),
        help="time at which everything must be valid (default: now)",
    )
    parser.add_argument(
        "--root",
        type=Path,
        metavar="DER_OR_PEM",
        help="trust these roots instead of Intel's, for a simulated platform",
    )
    parser.add_argument(
        "--measurements", metavar="FILE_OR_URL", help="images taken; without it none is compared"
    )
    parser.add_argument(
        "--report-data", metavar="HEX", help="what the evidence must be bound to, up to 64 bytes"
    )
    parser.add_argument(
        "--allow-status",
        action="append",
        metavar="STATUS",
        choices=sorted(str(one) for one in TCBStatus if one is not TCBStatus.REVOKED),
        help="TCB status to take, may be repeated (default: UpToDate alone); one of %(choices)s",
    )
