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

from buildernet.attestation.azure import parse_azure_evidence, verify_azure_evidence
from buildernet.attestation.azure.evidence import MAX_EVIDENCE_BYTES
from buildernet.attestation.collateral import TCBStatus, parse_collateral
from buildernet.attestation.collateral.documents import MAX_FILE_BYTES
from buildernet.attestation.errors import VerificationError
from buildernet.attestation.quote import MAX_QUOTE_BYTES, parse_quote
from buildernet.attestation.verify import TCBPolicy, select_collateral, verify_quote
from buildernet.attested_verify import report
from buildernet.attested_verify.errors import InputError
from buildernet.attested_verify.inputs import (
    parse_report_data,
    read_file,
    read_measurements,
    read_roots,
)
from buildernet.attested_verify.report import Accepted
from buildernet.base import command
from buildernet.base.errors import EXIT_OK

PROGRAM: Final = "attested-verify"

_EXAMPLES: Final = """\
examples:
  attested-verify --quote quote.bin --collateral collateral.json
  attested-verify --quote quote.bin --collateral collateral.yaml --at 1769509141 \\
      --measurements https://measurements.buildernet.org --report-data 00ff...
  attested-verify --azure evidence.json --collateral bundle.json --report-data 00ff...

The steps A to L are explained in docs/protocols/tdx-verification.md.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    arguments = _parser().parse_args(argv)
    return command.run(lambda: _run(arguments), program=PROGRAM, debug=arguments.debug)


def _run(arguments: argparse.Namespace) -> int:
    if arguments.root is not None:
        note = f"trusting the roots of {arguments.root}, not Intel's"
        print(f"{PROGRAM}: note: {note}", file=sys.stderr)
    try:
        accepted = _verify_azure(arguments) if arguments.azure else _verify_quote(arguments)
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


def _verify_quote(arguments: argparse.Namespace) -> Accepted:
    quote = read_file(arguments.quote, limit=MAX_QUOTE_BYTES)
    collaterals = parse_collateral(read_file(arguments.collateral, limit=MAX_FILE_BYTES))
    verified = verify_quote(
        quote,
        collateral=select_collateral(parse_quote(quote), collaterals),
        at=arguments.at,
        report_data=parse_report_data(arguments.report_data),
        measurements=read_measurements(arguments.measurements),
        roots=read_roots(arguments.root),
        policy=_policy(arguments),
    )
    return Accepted(
        kind="tdx-quote",
        quote=verified,
        registers=verified.registers,
        measurement_id=verified.match.record.measurement_id if verified.match else None,
        steps=verified.steps,
    )


def _verify_azure(arguments: argparse.Namespace) -> Accepted:
    report_data = parse_report_data(arguments.report_data)
    if report_data is None:
        raise InputError("--azure needs --report-data: its binding is part of the evidence")
    evidence = parse_azure_evidence(read_file(arguments.azure, limit=MAX_EVIDENCE_BYTES))
    collaterals = parse_collateral(read_file(arguments.collateral, limit=MAX_FILE_BYTES))
    verified = verify_azure_evidence(
        evidence,
        report_data=report_data,
        collateral=select_collateral(parse_quote(evidence.tdx_quote), collaterals),
        at=arguments.at,
        measurements=read_measurements(arguments.measurements),
        roots=read_roots(arguments.root),
        policy=_policy(arguments),
    )
    return Accepted(
        kind="azure",
        quote=verified.quote,
        registers=verified.registers,
        measurement_id=verified.match.record.measurement_id if verified.match else None,
        steps=verified.steps,
    )


def _policy(arguments: argparse.Namespace) -> TCBPolicy:
    statuses = arguments.allow_status or [TCBStatus.UP_TO_DATE]
    return TCBPolicy(allowed=frozenset(TCBStatus(status) for status in statuses))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Check saved evidence of a trust domain and explain the result step by step.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    evidence = parser.add_mutually_exclusive_group(required=True)
    evidence.add_argument("--quote", type=Path, metavar="FILE", help="TDX quote, version 4 or 5")
    evidence.add_argument(
        "--azure", type=Path, metavar="FILE", help="evidence of an Azure confidential VM, JSON"
    )
    parser.add_argument(
        "--collateral",
        type=Path,
        metavar="FILE",
        required=True,
        help="collateral: dcap-qvl's JSON, the same as YAML, or a bundle",
    )
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
        choices=sorted(set(TCBStatus) - {TCBStatus.REVOKED}),
        help="TCB status to take, may be repeated (default: UpToDate alone); one of %(choices)s",
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return parser
