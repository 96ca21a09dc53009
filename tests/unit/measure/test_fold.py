# SPDX-License-Identifier: MIT
import hashlib

from buildernet.attestation.event_log import EV_EFI_ACTION
from buildernet.attestation.registers import Bank, Register
from buildernet.measure.digests import digests_of
from buildernet.measure.events import ExpectedEvent, Variant, make_event
from buildernet.measure.fold import fold, legal_values


def event(pcr: int, content: bytes, variant: Variant | None = None) -> ExpectedEvent:
    return make_event(
        pcr,
        EV_EFI_ACTION,
        "label",
        digests=digests_of(content),
        description="d",
        reason="r",
        variant=variant,
    )


def extended(*contents: bytes) -> bytes:
    value = bytes(32)
    for content in contents:
        value = hashlib.sha256(value + hashlib.sha256(content).digest()).digest()
    return value


EVENTS = [event(4, b"a"), event(5, b"b"), event(4, b"c", Variant.EXIT_RETRY), event(4, b"d")]


def test_fold_takes_the_events_of_one_register_in_order() -> None:
    assert fold(EVENTS, Register.PCR4, Bank.SHA256) == extended(b"a", b"d")
    assert fold(EVENTS, Register.PCR5, Bank.SHA256) == extended(b"b")
    assert fold(EVENTS, Register.PCR8, Bank.SHA256) == bytes(32)


def test_variant_adds_its_events() -> None:
    value = fold(EVENTS, Register.PCR4, Bank.SHA256, variant=Variant.EXIT_RETRY)
    assert value == extended(b"a", b"c", b"d")


def test_legal_values_are_distinct_with_the_plain_boot_first() -> None:
    values = legal_values(EVENTS, Register.PCR4, Bank.SHA256)
    assert values == (extended(b"a", b"d"), extended(b"a", b"c", b"d"))
    assert legal_values(EVENTS, Register.PCR5, Bank.SHA256) == (extended(b"b"),)
