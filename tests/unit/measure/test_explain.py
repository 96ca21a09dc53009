# SPDX-License-Identifier: MIT
"""A changed image is refused, the event is named, and so is the likely cause."""

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildernet.attestation.errors import EventLogError
from buildernet.attestation.event_log import (
    EV_EFI_ACTION,
    EV_EFI_BOOT_SERVICES_APPLICATION,
    EV_EFI_BOOT_SERVICES_DRIVER,
    EV_EVENT_TAG,
    EV_IPL,
    EV_SEPARATOR,
    EventLog,
    parse_event_log,
)
from buildernet.attestation.registers import Bank, Register
from buildernet.measure.events import BootPath, Variant
from buildernet.measure.explain import Comparison, Verdict, compare
from buildernet.measure.pcr09 import AUTOMATIC_CONSOLE
from tests.support.event_logs import RawEvent, encode_log, raw_cc_events, raw_events
from tests.support.pe_images import CMDLINE, make_kernel, make_uki
from tests.support.predictions import make_prediction

GPT = make_prediction(boot=BootPath.GPT)
DIRECT = make_prediction()


def log_of(events: list[RawEvent]) -> EventLog:
    return parse_event_log(encode_log(events))


def causes(comparison: Comparison) -> dict[str, str]:
    """Label of the event to key of the cause."""
    named = {}
    for row in comparison.mismatches:
        assert row.cause is not None
        side = row.expected or row.actual
        assert side is not None
        named[row.expected.label if row.expected else side.type_name] = row.cause.key
    return named


@pytest.mark.parametrize("prediction", [GPT, DIRECT])
def test_boot_as_predicted_matches(prediction) -> None:
    comparison = compare(prediction, log_of(raw_events(prediction)))
    assert comparison.matches
    assert comparison.variant is None
    assert {row.verdict for row in comparison.rows} == {Verdict.MATCH}


def test_retry_of_exit_boot_services_matches_and_is_named() -> None:
    comparison = compare(GPT, log_of(raw_events(GPT, variant=Variant.EXIT_RETRY)))
    assert comparison.matches
    assert comparison.variant is Variant.EXIT_RETRY


def test_trust_domain_log_matches() -> None:
    log = parse_event_log(encode_log(raw_cc_events(GPT), banks=(Bank.SHA384,)))
    comparison = compare(GPT, log)
    assert comparison.matches
    assert [result.register for result in comparison.registers] == [
        Register.RTMR1,
        Register.RTMR2,
    ]


def test_platform_events_are_listed_and_not_judged() -> None:
    events = [RawEvent(1, EV_EFI_ACTION, b"ACPI"), *raw_events(GPT)]
    comparison = compare(GPT, log_of(events))
    assert comparison.matches
    assert comparison.rows[0].verdict is Verdict.NOT_PROMISED


UKI_LABEL = "EV_EFI_BOOT_SERVICES_APPLICATION"


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        (
            {"cmdline": CMDLINE + " init=/bin/sh"},
            {
                UKI_LABEL: "uki-content-changed",
                "section .cmdline": "cmdline-changed",
                "cmdline": "cmdline-changed",
            },
        ),
        (
            {"initrd": b"another initrd"},
            {
                UKI_LABEL: "uki-content-changed",
                "section .initrd": "initrd-changed",
                "initrd": "initrd-changed",
            },
        ),
        (
            {"kernel": make_kernel(b"KERNEL")},
            {UKI_LABEL: "kernel-changed", "section .linux": "kernel-changed"},
        ),
        ({"text": b"other stub code"}, {UKI_LABEL: "stub-changed"}),
        (
            {"osrel": b"ID=other\n"},
            {
                UKI_LABEL: "uki-content-changed",
                "section .osrel": "os-release-changed",
                "initrd": "os-release-changed",
            },
        ),
        (
            {"uname": b"6.12"},
            {UKI_LABEL: "uki-content-changed", "EV_IPL": "section-unexpected"},
        ),
    ],
    ids=["cmdline", "initrd", "kernel", "stub", "osrel", "new-section"],
)
def test_changed_image_is_refused_and_named(changed, expected: dict[str, str]) -> None:
    booted = make_prediction(make_uki(**changed), boot=BootPath.GPT)
    comparison = compare(GPT, log_of(raw_events(booted)))
    assert not comparison.matches
    assert causes(comparison) == expected


def test_changed_uki_names_the_sections() -> None:
    booted = make_prediction(make_uki(cmdline="x", initrd=b"y"), boot=BootPath.GPT)
    first = compare(GPT, log_of(raw_events(booted))).mismatches[0]
    assert first.cause is not None
    assert first.cause.text.endswith(".cmdline, .initrd")


def test_changed_partition_table_says_what_changed() -> None:
    booted = make_prediction(boot=BootPath.GPT, disk_guid=uuid.UUID(int=9))
    (row,) = compare(GPT, log_of(raw_events(booted))).mismatches
    assert row.register is Register.PCR5
    assert row.cause is not None
    assert row.cause.key == "gpt-changed"
    assert f"became {uuid.UUID(int=9)}" in row.cause.text


def test_other_boot_path_is_recognised() -> None:
    assert causes(compare(GPT, log_of(raw_events(DIRECT)))) == {
        "EV_EFI_GPT_EVENT": "gpt-missing",
        UKI_LABEL: "event-moved",
    }
    assert causes(compare(DIRECT, log_of(raw_events(GPT)))) == {
        "EV_EFI_GPT_EVENT": "gpt-unexpected",
        UKI_LABEL: "event-moved",
    }


def replaced(label_data: bytes, digest_text: bytes) -> list[RawEvent]:
    """The GPT boot with one event's digests exchanged, its data as it was."""
    digests: dict[Bank, bytes] = {
        bank: bank.digest(digest_text) for bank in (Bank.SHA256, Bank.SHA384)
    }
    return [
        RawEvent(e.index, e.type, e.data, digests) if e.data.startswith(label_data) else e
        for e in raw_events(GPT)
    ]


CMDLINE_TAG, INITRD_TAG = b"\xed\x22\x3b\x8f", b"\xec\x22\x3b\x8f"


@pytest.mark.parametrize(
    ("events", "cause"),
    [
        (
            replaced(CMDLINE_TAG, f"{CMDLINE} initrd=initrd\0".encode("utf-16-le")),
            "cmdline-initrd-appended",
        ),
        (
            replaced(CMDLINE_TAG, f"{CMDLINE} {AUTOMATIC_CONSOLE}\0".encode("utf-16-le")),
            "cmdline-automatic-console",
        ),
        (replaced(CMDLINE_TAG, b"anything else"), "cmdline-replaced"),
        (replaced(INITRD_TAG, b"070701 initrd of odd length"), "initrd-without-extras"),
        (replaced(INITRD_TAG, b"anything else"), "initrd-extended"),
        ([*raw_events(GPT), RawEvent(12, EV_IPL, b"c\0m\0d\0")], "addon-or-credential"),
        ([*raw_events(GPT), RawEvent(9, EV_EVENT_TAG, bytes(8))], "addon-or-credential"),
        ([*raw_events(GPT), RawEvent(2, EV_EFI_BOOT_SERVICES_DRIVER, b"rom")], "option-rom"),
        (
            [RawEvent(4, EV_EFI_BOOT_SERVICES_APPLICATION, b"sd-boot"), *raw_events(GPT)],
            "extra-image",
        ),
        (
            [RawEvent(4, EV_EFI_ACTION, b"Returning from EFI Application"), *raw_events(GPT)],
            "other-boot-option",
        ),
        ([*raw_events(GPT), RawEvent(3, EV_SEPARATOR, b"\1\0\0\0")], "separator"),
        (raw_events(GPT)[:-1], "exit-boot-services"),
        ([e for e in raw_events(GPT) if e.data[:4] != INITRD_TAG], "kernel-event-missing"),
        (raw_events(GPT)[1:], "boot-path"),
    ],
)
def test_single_known_causes(events: list[RawEvent], cause: str) -> None:
    comparison = compare(GPT, log_of(events))
    assert not comparison.matches
    assert [row.cause.key for row in comparison.mismatches if row.cause] == [cause]


def test_boot_secret_is_suspected_where_the_stub_makes_one() -> None:
    prediction = make_prediction(make_uki(stub="262.1"), boot=BootPath.GPT)
    events = [
        RawEvent(e.index, e.type, e.data, {b: b.digest(b"?") for b in e.digests})
        if e.data[:4] == INITRD_TAG
        else e
        for e in raw_events(prediction)
    ]
    assert causes(compare(prediction, log_of(events))) == {"initrd": "boot-secret"}


def test_missing_event_stands_where_it_should_have_been() -> None:
    events = [e for e in raw_events(GPT) if not e.data.startswith(b"EFI PART")]
    rows = compare(GPT, log_of(events)).rows
    position = [row.verdict for row in rows].index(Verdict.MISSING)
    before = rows[position - 1]
    assert (before.register, before.verdict) == (Register.PCR5, Verdict.MATCH)
    assert before.expected is not None
    assert before.expected.type == EV_SEPARATOR


@given(st.data())
def test_no_log_that_differs_in_a_promised_event_matches(data: st.DataObject) -> None:
    events = raw_events(GPT)
    at = data.draw(st.integers(0, len(events) - 1))
    event = events[at]
    one_bank = {**event.digests, Bank.SHA384: Bank.SHA384.digest(b"only one bank")}
    mutations: tuple[list[RawEvent], ...] = (
        [],
        [event, event],
        [RawEvent(event.index, event.type, event.data + b"!")],
        [RawEvent(event.index, event.type, event.data, one_bank)],
    )
    instead = data.draw(st.sampled_from(mutations))
    comparison = compare(GPT, log_of([*events[:at], *instead, *events[at + 1 :]]))
    assert not comparison.matches
    assert comparison.mismatches
    assert all(row.cause for row in comparison.mismatches)


def test_log_without_a_usable_bank_is_refused() -> None:
    log = parse_event_log(encode_log(raw_events(GPT), banks=(Bank.SHA1,)))
    with pytest.raises(EventLogError, match="neither"):
        compare(GPT, log)


def test_log_data_cannot_write_to_the_terminal() -> None:
    events = [RawEvent(4, EV_EFI_ACTION, b"\x1b[2J" + b"x" * 500), *raw_events(GPT)]
    row = compare(GPT, log_of(events)).rows[0]
    assert row.verdict is Verdict.UNEXPECTED
    assert row.cause is not None
    assert "\x1b" not in row.cause.text
