# SPDX-License-Identifier: MIT
import hashlib

import pytest

from buildernet.attestation.errors import EventLogError
from buildernet.attestation.event_log import (
    EV_EFI_ACTION,
    EV_NO_ACTION,
    EV_SEPARATOR,
    STARTUP_LOCALITY_SIGNATURE,
    parse_event_log,
)
from buildernet.attestation.registers import Bank, Register
from buildernet.attestation.replay import replay, replay_rtmrs
from tests.support.event_logs import RawEvent, encode_log

SEPARATORS = [RawEvent(pcr, EV_SEPARATOR, bytes(4)) for pcr in range(7)]


def extend384(value: bytes, *datas: bytes) -> bytes:
    for data in datas:
        value = hashlib.sha384(value + hashlib.sha384(data).digest()).digest()
    return value


def test_replay_of_separator_gives_the_well_known_pcr() -> None:
    values = replay(parse_event_log(encode_log(SEPARATORS)), Bank.SHA256)
    well_known = "3d458cfe55cc03ea1f443f1562beec8df51c75e14a9fcf9a7234a13f198e7969"
    assert values[Register.PCR2].hex() == well_known
    assert values[Register.PCR8] == bytes(32)


def test_no_action_is_not_extended_but_sets_the_locality() -> None:
    locality = RawEvent(0, EV_NO_ACTION, STARTUP_LOCALITY_SIGNATURE + b"\3")
    values = replay(parse_event_log(encode_log([locality])), Bank.SHA384)
    assert values[Register.PCR0] == bytes(47) + b"\3"


def test_missing_bank_is_refused() -> None:
    log = parse_event_log(encode_log(SEPARATORS, banks=(Bank.SHA256,)))
    with pytest.raises(EventLogError, match="no sha384 bank"):
        replay(log, Bank.SHA384)
    with pytest.raises(EventLogError, match="no sha384 bank"):
        replay_rtmrs(log)


def test_cc_log_replays_to_rtmrs() -> None:
    log = parse_event_log(encode_log([RawEvent(2, EV_EFI_ACTION, b"x")], banks=(Bank.SHA384,)))
    values = replay(log, Bank.SHA384)
    assert list(values) == [Register.RTMR0, Register.RTMR1, Register.RTMR2, Register.RTMR3]
    assert values[Register.RTMR1] == extend384(bytes(48), b"x")
    assert replay_rtmrs(log) == values


def test_tpm_log_gives_rtmrs_with_one_separator() -> None:
    events = [
        RawEvent(0, EV_EFI_ACTION, b"version"),
        RawEvent(7, EV_EFI_ACTION, b"variable"),
        RawEvent(4, EV_EFI_ACTION, b"boot"),
        *SEPARATORS,
        RawEvent(11, EV_EFI_ACTION, b"section"),
        RawEvent(5, EV_EFI_ACTION, b"exit"),
        RawEvent(9, EV_EFI_ACTION, b"initrd"),
        RawEvent(16, EV_EFI_ACTION, b"debug"),
    ]
    values = replay_rtmrs(parse_event_log(encode_log(events)))
    assert values[Register.RTMR0] == extend384(bytes(48), b"variable")
    assert values[Register.RTMR1] == extend384(bytes(48), b"boot", bytes(4), b"exit")
    assert values[Register.RTMR2] == extend384(bytes(48), b"section", b"initrd")
    assert values[Register.RTMR3] == bytes(48)
