# SPDX-License-Identifier: MIT
"""Results as tables for people and as JSON for machines."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from buildernet.attestation.event_log import EventLog
from buildernet.attestation.registers import Bank, Digest, Register
from buildernet.attestation.replay import replay
from buildernet.measure.cause_table import Cause
from buildernet.measure.explain import Comparison, Row, Verdict
from buildernet.measure.live import LiveRow
from buildernet.measure.prediction import Prediction, banks_of

_MARKS: Final = {
    Verdict.MATCH: "ok",
    Verdict.DIFFERENT: "DIFFERENT",
    Verdict.MISSING: "MISSING",
    Verdict.UNEXPECTED: "UNEXPECTED",
    Verdict.NOT_PROMISED: "not promised",
}
_SHORT_HEX: Final = 16

Values = Mapping[Register, Mapping[Bank, Sequence[Digest]]]


def prediction_values(prediction: Prediction) -> Values:
    """Return the registers worth showing: MRTD, and every promised one something is extended in."""
    used = {event.pcr for event in prediction.events}
    shown = [name for name in prediction.promised if not name.is_pcr or name.number in used]
    first = (Register.MRTD,) if prediction.mrtd else ()
    return {
        name: {bank: prediction.values(name, bank) for bank in banks_of(name)}
        for name in (*first, *shown)
    }


def replayed_values(log: EventLog) -> Values:
    """Return every register a log replays to, in each of its banks."""
    values: dict[Register, dict[Bank, list[Digest]]] = {}
    for bank in log.banks:
        for register, digest in replay(log, bank).items():
            values.setdefault(register, {})[bank] = [digest]
    return values


def values_as_json(values: Values) -> str:
    """One object: register, bank, list of legal values."""
    return _dump(
        {
            register: {
                bank: [digest.hex() for digest in digests] for bank, digests in banks.items()
            }
            for register, banks in values.items()
        }
    )


def values_as_lines(values: Values) -> Iterable[str]:
    """One line per register and bank; further legal values follow, marked `or`."""
    for register, banks in values.items():
        for bank, digests in banks.items():
            for position, digest in enumerate(digests):
                name = f"{register} {bank}" if position == 0 else "or"
                yield f"{name:<13} {digest.hex()}"


def comparison_as_lines(comparison: Comparison, live: Sequence[LiveRow]) -> Iterable[str]:
    """Yield a table of events, then each mismatch with cause and hint, then the verdict."""
    yield f"{'event':>5}  {'register':<8}  {'verdict':<12}  {'sha':<16}  what"
    for row in comparison.rows:
        number = str(row.actual.number) if row.actual else "-"
        yield (
            f"{number:>5}  {row.register:<8}  {_MARKS[row.verdict]:<12}  "
            f"{_short(row, comparison.banks[0])}  {_what(row)}"
        )
    for row in comparison.mismatches:
        yield ""
        yield f"{row.register}: {_what(row)}: {_MARKS[row.verdict]}"
        for bank in comparison.banks:
            wanted = row.expected.digests.of(bank) if row.expected else None
            logged = row.actual.digests.get(bank) if row.actual else None
            yield f"  expected {bank} {wanted.hex() if wanted else '-'}"
            yield f"  logged   {bank} {logged.hex() if logged else '-'}"
        yield from _cause_lines(row.cause)
    for bad in (row for row in live if row.is_mismatch):
        yield ""
        yield f"{bad.register}: the register read in the guest is another one"
        for value in bad.expected:
            yield f"  expected {bad.bank} {value.hex()}"
        yield f"  read     {bad.bank} {bad.live.hex()}"
        yield from _cause_lines(bad.cause)
    yield ""
    yield _summary(comparison, live)


def _cause_lines(cause: Cause | None) -> Iterable[str]:
    if cause:
        yield f"  likely cause: {cause.text}"
        yield f"  hint: {cause.hint}"


def _what(row: Row) -> str:
    if row.expected:
        return f"{row.expected.type_name} {row.expected.description}"
    return row.actual.type_name if row.actual else ""


def _short(row: Row, bank: Bank) -> str:
    digest = row.actual.digests.get(bank) if row.actual else None
    return digest.hex()[:_SHORT_HEX] if digest else "-" * _SHORT_HEX


def _summary(comparison: Comparison, live: Sequence[LiveRow]) -> str:
    checked = sum(row.verdict is not Verdict.NOT_PROMISED for row in comparison.rows)
    bad = len(comparison.mismatches) + sum(row.is_mismatch for row in live)
    course = f", course: {comparison.variant}" if comparison.variant else ""
    if bad or not comparison.matches:
        return f"MISMATCH: differences: {bad}, promised events: {checked}{course}"
    registers = f", {len(live)} register values read in the guest agree" if live else ""
    return f"MATCH: {checked} promised events are as predicted{course}{registers}"


def comparison_as_json(comparison: Comparison, live: Sequence[LiveRow]) -> str:
    """Everything the table says, for machines."""
    return _dump(
        {
            "matches": comparison.matches and not any(row.is_mismatch for row in live),
            "log": comparison.kind,
            "banks": list(comparison.banks),
            "variant": comparison.variant,
            "registers": [
                {
                    "register": result.register,
                    "bank": result.bank,
                    "matches": result.matches,
                    "expected": [value.hex() for value in result.expected],
                    "actual": result.actual.hex(),
                }
                for result in comparison.registers
            ],
            "events": [_row_as_json(row) for row in comparison.rows],
            "live": [
                {
                    "register": row.register,
                    "bank": row.bank,
                    "matches": not row.is_mismatch,
                    "live": row.live.hex(),
                    "expected": [value.hex() for value in row.expected],
                    "cause": _cause_as_json(row.cause),
                }
                for row in live
            ],
        }
    )


def _row_as_json(row: Row) -> dict[str, Any]:
    expected, actual = row.expected, row.actual
    return {
        "number": actual.number if actual else None,
        "register": row.register,
        "verdict": row.verdict,
        "what": _what(row),
        "expected": expected
        and {"sha256": expected.digests.sha256.hex(), "sha384": expected.digests.sha384.hex()},
        "logged": actual and {bank: digest.hex() for bank, digest in actual.digests.items()},
        "cause": _cause_as_json(row.cause),
    }


def _cause_as_json(cause: Cause | None) -> dict[str, str] | None:
    return {"key": cause.key, "text": cause.text, "hint": cause.hint} if cause else None


def _dump(document: Mapping[str, Any]) -> str:
    return json.dumps(document, indent=2)
