# SPDX-License-Identifier: MIT
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildernet.attestation import event_log
from buildernet.attestation.errors import EventLogError
from buildernet.attestation.event_log import (
    EV_NO_ACTION,
    EV_SEPARATOR,
    MAX_EVENTS,
    MAX_LOG_BYTES,
    STARTUP_LOCALITY_SIGNATURE,
    LogKind,
    parse_event_log,
)
from buildernet.attestation.registers import Bank
from tests.support.event_logs import RawEvent, encode_log

SEPARATOR = RawEvent(4, EV_SEPARATOR, bytes(4))
CC_BANKS = (Bank.SHA384,)
LOG = encode_log([RawEvent(0, EV_NO_ACTION, STARTUP_LOCALITY_SIGNATURE + b"\3"), SEPARATOR])


def test_events_are_parsed_in_order() -> None:
    log = parse_event_log(LOG)
    assert log.kind is LogKind.TPM
    assert log.banks == (Bank.SHA256, Bank.SHA384)
    assert [event.type_name for event in log.events] == [
        "EV_NO_ACTION",
        "EV_NO_ACTION",
        "EV_SEPARATOR",
    ]
    assert log.events[2].index == 4
    assert log.events[2].digests[Bank.SHA256] == Bank.SHA256.digest(bytes(4))
    assert log.startup_locality == 3


def test_log_without_locality_event_starts_at_zero() -> None:
    assert parse_event_log(encode_log([SEPARATOR])).startup_locality == 0


@pytest.mark.parametrize(
    "padding", [bytes(12), bytes(5000), b"\xff" * 4, b"\xff" * 5000, b"\0" * 5]
)
def test_padding_ends_the_log(padding: bytes) -> None:
    assert len(parse_event_log(LOG + padding).events) == 3


def test_cc_log_is_recognised() -> None:
    log = parse_event_log(encode_log([SEPARATOR], banks=CC_BANKS))
    assert log.kind is LogKind.CC


def test_sha384_log_with_pcr_0_is_a_tpm_log() -> None:
    events = [RawEvent(0, EV_SEPARATOR, bytes(4)), SEPARATOR]
    assert parse_event_log(encode_log(events, banks=CC_BANKS)).kind is LogKind.TPM


def test_stated_kind_wins_over_the_guess() -> None:
    log = encode_log([SEPARATOR], banks=CC_BANKS)
    assert parse_event_log(log, kind=LogKind.TPM).kind is LogKind.TPM


def test_register_that_does_not_exist_is_refused() -> None:
    with pytest.raises(EventLogError, match="no such"):
        parse_event_log(encode_log([RawEvent(24, EV_SEPARATOR)]))
    with pytest.raises(EventLogError, match="no such"):
        parse_event_log(encode_log([RawEvent(5, EV_SEPARATOR)], banks=CC_BANKS), kind=LogKind.CC)


def test_impossible_locality_is_refused() -> None:
    event = RawEvent(0, EV_NO_ACTION, STARTUP_LOCALITY_SIGNATURE + b"\5")
    with pytest.raises(EventLogError, match="locality"):
        parse_event_log(encode_log([event]))


def test_limits() -> None:
    assert len(parse_event_log(encode_log([SEPARATOR] * (MAX_EVENTS - 1))).events) == MAX_EVENTS
    with pytest.raises(EventLogError, match=f"more than {MAX_EVENTS}"):
        parse_event_log(encode_log([SEPARATOR] * MAX_EVENTS))
    with pytest.raises(EventLogError, match="limit"):
        parse_event_log(bytes(MAX_LOG_BYTES + 1))


@pytest.mark.parametrize("data", [b"", b"\0" * 100, b"MZ" * 50, LOG[32:]])
def test_other_files_are_refused(data: bytes) -> None:
    with pytest.raises(EventLogError):
        parse_event_log(data)


@given(st.integers(0, len(LOG) - 1))
def test_truncation_is_an_error_or_ends_between_events(length: int) -> None:
    try:
        events = parse_event_log(LOG[:length]).events
    except EventLogError:
        return
    assert events == parse_event_log(LOG).events[: len(events)]


@given(st.integers(0, 8 * len(LOG) - 1))
def test_bit_flip_raises_our_error_only(bit: int) -> None:
    damaged = bytearray(LOG)
    damaged[bit // 8] ^= 1 << bit % 8
    with contextlib.suppress(EventLogError):
        parse_event_log(bytes(damaged))


@given(st.binary(max_size=400))
def test_arbitrary_events_raise_our_error_only(tail: bytes) -> None:
    with contextlib.suppress(EventLogError):
        parse_event_log(encode_log([]) + tail)


def test_type_names_are_unique() -> None:
    names = event_log.EVENT_TYPE_NAMES
    assert len(set(names.values())) == len(names)
