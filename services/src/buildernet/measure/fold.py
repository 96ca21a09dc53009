# SPDX-License-Identifier: MIT
"""The one place that extends: expected events into register values."""

from collections.abc import Iterable, Sequence

from buildernet.attestation.registers import Bank, Digest, Register, extend, initial_value
from buildernet.measure.events import ExpectedEvent, Variant


def fold(
    events: Iterable[ExpectedEvent],
    register: Register,
    bank: Bank,
    *,
    variant: Variant | None = None,
) -> Digest:
    """Extend one register with its events in order.

    Args:
        events: all expected events of a boot.
        register: an RTMR or PCR.
        bank: Bank.SHA384 for RTMRs.
        variant: events of this variant take part, those of others do not.
    """
    value = initial_value(register, bank)
    for event in events:
        digest = event.digest_for(register, bank)
        if digest is not None and event.variant in (None, variant):
            value = extend(bank, value, digest)
    return value


def legal_values(
    events: Sequence[ExpectedEvent], register: Register, bank: Bank
) -> tuple[Digest, ...]:
    """Return every value a register may legally have, the plain boot first."""
    variants: list[Variant | None] = [None, *Variant]
    values = [fold(events, register, bank, variant=variant) for variant in variants]
    return tuple(dict.fromkeys(values))
