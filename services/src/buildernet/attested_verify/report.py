# SPDX-License-Identifier: MIT
"""A verification's result as text for a person and as JSON for machines."""

from typing import Any, Final

from buildernet.attestation.errors import StepRecord, VerificationError
from buildernet.attestation.verify import VerifiedQuote
from buildernet.attested_verify.evidence import Accepted

_INDENT: Final = " " * 8


def steps_as_lines(steps: tuple[StepRecord, ...]) -> list[str]:
    """Return one line per passed step, its findings below it."""
    lines = []
    for record in steps:
        lines.append(f"{record.step:5} ok  {record.title}")
        lines += [f"{_INDENT}   {detail}" for detail in record.details]
    return lines


def refusal_as_lines(error: VerificationError) -> list[str]:
    """Return the steps passed before a refusal, and the one that failed."""
    lines = [*steps_as_lines(error.passed), f"{error.step:5} REFUSED  {error.what}"]
    if error.expected:
        lines += [f"{_INDENT}   expected {error.expected}", f"{_INDENT}   actual   {error.actual}"]
    return lines


def accepted_as_lines(accepted: Accepted) -> list[str]:
    """Return steps, registers and verdict."""
    lines = steps_as_lines(accepted.steps)
    lines += [f"{register} {value.hex()}" for register, value in accepted.registers.items()]
    measured = "measurements NOT compared"
    if accepted.match is not None:
        measured = f"measurements of {accepted.match.record.measurement_id}"
    status = ""
    if accepted.quote is not None:
        lines.append(f"report data {accepted.quote.report_data.hex()}")
        status = f" {accepted.quote.status},"
    return [*lines, f"verified: {accepted.kind},{status} {measured}"]


def accepted_as_json(accepted: Accepted) -> dict[str, Any]:
    """Return the same as a document; `tdx` is null for a TPM's quote alone."""
    return {
        "verified": True,
        "kind": accepted.kind,
        "measurement_id": accepted.match and accepted.match.record.measurement_id,
        "registers": {register: value.hex() for register, value in accepted.registers.items()},
        "tdx": accepted.quote and _tdx(accepted.quote),
        "steps": _steps(accepted.steps),
    }


def _tdx(quote: VerifiedQuote) -> dict[str, Any]:
    return {
        "tcb_status": quote.status,
        "tcb_date": quote.evaluation.tcb_date,
        "tcb_evaluation_data_number": quote.evaluation.evaluation_number,
        "advisories": sorted(quote.advisories),
        "fmspc": quote.fmspc.hex(),
        "report_data": quote.report_data.hex(),
    }


def refusal_as_json(error: VerificationError) -> dict[str, Any]:
    """Return a refusal as a document."""
    return {
        "verified": False,
        "step": error.step,
        "what": error.what,
        "expected": error.expected,
        "actual": error.actual,
        "hint": error.hint,
        "steps": _steps(error.passed),
    }


def _steps(steps: tuple[StepRecord, ...]) -> list[dict[str, Any]]:
    return [
        {"step": record.step, "title": record.title, "details": list(record.details)}
        for record in steps
    ]
