# SPDX-License-Identifier: MIT
"""A verification's result as text for a person and as JSON for machines."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from buildernet.attestation.errors import StepRecord, VerificationError
from buildernet.attestation.registers import Digest, Register
from buildernet.attestation.verify import VerifiedQuote

_INDENT: Final = " " * 8


@dataclass(frozen=True, slots=True)
class Accepted:
    """Evidence that passed."""

    kind: str
    """`tdx-quote` or `azure`."""
    quote: VerifiedQuote
    registers: Mapping[Register, Digest]
    """What measurements are compared with."""
    measurement_id: str | None
    """The record that fits; None if measurements were not compared."""
    steps: tuple[StepRecord, ...]


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
    lines.append(f"report data {accepted.quote.report_data.hex()}")
    measured = "measurements NOT compared"
    if accepted.measurement_id is not None:
        measured = f"measurements of {accepted.measurement_id}"
    return [*lines, f"verified: {accepted.kind}, {accepted.quote.status}, {measured}"]


def accepted_as_json(accepted: Accepted) -> dict[str, Any]:
    """Return the same as a document."""
    evaluation = accepted.quote.evaluation
    return {
        "verified": True,
        "kind": accepted.kind,
        "tcb_status": evaluation.status,
        "tcb_date": evaluation.tcb_date,
        "tcb_evaluation_data_number": evaluation.evaluation_number,
        "advisories": sorted(evaluation.advisories),
        "fmspc": accepted.quote.fmspc.hex(),
        "measurement_id": accepted.measurement_id,
        "registers": {register: value.hex() for register, value in accepted.registers.items()},
        "report_data": accepted.quote.report_data.hex(),
        "steps": _steps(accepted.steps),
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
