# SPDX-License-Identifier: MIT
"""Compare what a boot logged with what was predicted, event by event, and name likely causes.

The verdict rests on digests alone: a register matches when the log's digests for it are exactly
one of the legal sequences. Labels and causes are help for people; event data is unauthenticated.
What is compared is the log. Whether the log is true is shown by `live.compare_live` (registers
read in the guest) or by a quote.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from buildernet.attestation.errors import EventLogError
from buildernet.attestation.event_log import Event, EventLog, LogKind
from buildernet.attestation.registers import Bank, Digest, Register
from buildernet.attestation.replay import register_of, replay
from buildernet.measure.alignment import Pair, align, digests_equal
from buildernet.measure.cause_table import Cause
from buildernet.measure.causes import Change, find_cause
from buildernet.measure.digests import BANKS
from buildernet.measure.events import ExpectedEvent, Variant
from buildernet.measure.prediction import Prediction


class Verdict(StrEnum):
    """What became of one event."""

    MATCH = "match"
    DIFFERENT = "different"
    MISSING = "missing"
    UNEXPECTED = "unexpected"
    NOT_PROMISED = "not promised"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the comparison."""

    register: Register
    expected: ExpectedEvent | None
    actual: Event | None
    verdict: Verdict
    cause: Cause | None
    """Present for every row that is a mismatch."""

    @property
    def is_mismatch(self) -> bool:
        """True when this row alone makes the comparison fail."""
        return self.verdict not in (Verdict.MATCH, Verdict.NOT_PROMISED)


@dataclass(frozen=True, slots=True)
class RegisterResult:
    """One promised register in one bank."""

    register: Register
    bank: Bank
    expected: tuple[Digest, ...]
    """Every legal value."""
    actual: Digest
    """Replayed from the log."""

    @property
    def matches(self) -> bool:
        """True when the replayed value is legal."""
        return self.actual in self.expected


@dataclass(frozen=True, slots=True)
class Comparison:
    """The whole result."""

    kind: LogKind
    banks: tuple[Bank, ...]
    variant: Variant | None
    """Which legal course the boot took (or is closest to)."""
    rows: tuple[Row, ...]
    """In the order of the log; a missing event stands where it should have been."""
    registers: tuple[RegisterResult, ...]

    @property
    def matches(self) -> bool:
        """True when every promised event and register is as predicted."""
        return not self.mismatches and all(result.matches for result in self.registers)

    @property
    def mismatches(self) -> tuple[Row, ...]:
        """The rows to look at."""
        return tuple(row for row in self.rows if row.is_mismatch)


def compare(prediction: Prediction, log: EventLog) -> Comparison:
    """Compare a parsed log with a prediction.

    Args:
        prediction: made by `predict` or read by `documents.parse_prediction`.
        log: of a TPM or a TD; all its banks that we predict must match.

    Raises:
        EventLogError: the log has neither a sha256 nor a sha384 bank, or lacks digests.
    """
    banks = tuple(bank for bank in BANKS if bank in log.banks)
    if not banks:
        raise EventLogError("the log has neither a sha256 nor a sha384 bank: nothing to compare")
    wants_pcr = log.kind is LogKind.TPM
    promised = tuple(name for name in prediction.promised if name.is_pcr == wants_pcr)
    if not promised:
        raise EventLogError(f"the prediction promises nothing about a {log.kind} log")
    candidates = [
        (variant, _align_all(prediction, log, promised, banks, variant))
        for variant in (None, *Variant)
    ]
    variant, pairs = min(candidates, key=lambda item: _difference_count(item[1], banks))
    replayed = {bank: replay(log, bank) for bank in banks}
    return Comparison(
        kind=log.kind,
        banks=banks,
        variant=variant,
        rows=_rows(prediction, log, pairs, banks),
        registers=tuple(
            RegisterResult(name, bank, prediction.values(name, bank), replayed[bank][name])
            for name in promised
            for bank in banks
        ),
    )


_RegisterPairs = dict[Register, list[Pair]]


def _align_all(
    prediction: Prediction,
    log: EventLog,
    promised: Sequence[Register],
    banks: Sequence[Bank],
    variant: Variant | None,
) -> _RegisterPairs:
    pairs: _RegisterPairs = {}
    for name in promised:
        expected = [
            event
            for event in prediction.events
            if event.variant in (None, variant) and event.digest_for(name, banks[0]) is not None
        ]
        actual = [
            event for event in log.events if event.is_extended and register_of(log, event) is name
        ]
        pairs[name] = align(expected, actual, banks)
    return pairs


def _difference_count(pairs: _RegisterPairs, banks: Sequence[Bank]) -> int:
    return sum(
        _verdict(pair, banks) is not Verdict.MATCH for aligned in pairs.values() for pair in aligned
    )


def _verdict(pair: Pair, banks: Sequence[Bank]) -> Verdict:
    expected, actual = pair
    if expected is None:
        return Verdict.UNEXPECTED
    if actual is None:
        return Verdict.MISSING
    return Verdict.MATCH if digests_equal(expected, actual, banks) else Verdict.DIFFERENT


def _rows(
    prediction: Prediction, log: EventLog, pairs: _RegisterPairs, banks: Sequence[Bank]
) -> tuple[Row, ...]:
    """Bring the registers' rows into the order of the log."""
    changes = [
        Change(name, expected, actual)
        for name, aligned in pairs.items()
        for expected, actual in aligned
        if _verdict((expected, actual), banks) is not Verdict.MATCH
    ]
    placed: list[tuple[float, Row]] = []
    for name, aligned in pairs.items():
        position = 0.0
        for expected, actual in aligned:
            verdict = _verdict((expected, actual), banks)
            position = float(actual.number) if actual else position + 1 / 1024
            cause = None
            if verdict is not Verdict.MATCH:
                cause = find_cause(Change(name, expected, actual), changes, prediction, banks)
            placed.append((position, Row(name, expected, actual, verdict, cause)))
    for event in log.events:
        if event.is_extended and (name := register_of(log, event)) not in pairs:
            row = Row(name, None, event, Verdict.NOT_PROMISED, None)
            placed.append((float(event.number), row))
    return tuple(row for _, row in sorted(placed, key=lambda item: item[0]))
