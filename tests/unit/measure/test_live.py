# SPDX-License-Identifier: MIT
import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildernet.attestation.event_log import parse_event_log
from buildernet.attestation.registers import Bank, Register
from buildernet.attestation.replay import replay
from buildernet.measure.errors import DocumentError
from buildernet.measure.live import LiveRow, compare_live, parse_registers
from tests.support.event_logs import encode_log, raw_events
from tests.support.predictions import make_prediction

PREDICTION = make_prediction()
LOG = parse_event_log(encode_log(raw_events(PREDICTION)))


def document(**changes: str) -> dict[str, Any]:
    """registers.json of the boot; `pcr4_sha256="00.."` changes a value."""
    pcrs = {
        bank: {
            str(name.number): changes.get(f"{name}_{bank}", value.hex())
            for name, value in replay(LOG, bank).items()
        }
        for bank in (Bank.SHA256, Bank.SHA384)
    }
    tdx = {"mrtd": changes["mrtd"], "mrowner": "00" * 48} if "mrtd" in changes else {}
    return {"format": "buildernet-registers/1", "pcrs": pcrs, "tdx": tdx, "notes": []}


def bad_rows(**changes: str) -> list[LiveRow]:
    registers = parse_registers(json.dumps(document(**changes)))
    return [row for row in compare_live(registers, LOG, PREDICTION) if row.cause]


def test_registers_of_the_boot_agree() -> None:
    assert bad_rows() == []


def test_register_the_log_does_not_explain_is_a_mismatch() -> None:
    (row,) = bad_rows(pcr4_sha256="00" * 32)
    assert (row.register, row.bank, row.is_mismatch) == (Register.PCR4, Bank.SHA256, True)


def test_ima_may_extend_pcr_10() -> None:
    (row,) = bad_rows(pcr10_sha256="11" * 32)
    assert not row.is_mismatch


def test_mrtd_of_either_page_order_is_legal() -> None:
    for value in PREDICTION.values(Register.MRTD, Bank.SHA384):
        assert bad_rows(mrtd=value.hex()) == []
    (row,) = bad_rows(mrtd="00" * 48)
    assert row.cause is not None
    assert row.cause.key == "mrtd-firmware"


def test_nothing_in_common_is_an_error() -> None:
    empty = parse_registers('{"format": "buildernet-registers/1", "pcrs": {}, "tdx": {}}')
    with pytest.raises(DocumentError, match="in common"):
        compare_live(empty, LOG, PREDICTION)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"format": "buildernet-registers/2"}',
        '{"format": "buildernet-registers/1", "pcrs": {"md5": {}}, "tdx": {}}',
        '{"format": "buildernet-registers/1", "pcrs": {"sha256": {"24": "00"}}, "tdx": {}}',
        '{"format": "buildernet-registers/1", "pcrs": {"sha256": {"4": "00"}}, "tdx": {}}',
        '{"format": "buildernet-registers/1", "pcrs": {"sha256": {"4": 0}}, "tdx": {}}',
        '{"format": "buildernet-registers/1", "pcrs": {}, "tdx": {"mrtd": "zz"}}',
    ],
)
def test_other_documents_are_refused(text: str) -> None:
    with pytest.raises(DocumentError):
        parse_registers(text)


@given(st.data())
def test_damage_raises_our_error_only(data: st.DataObject) -> None:
    text = json.dumps(document(mrtd="00" * 48))
    at = data.draw(st.integers(0, len(text) - 1))
    damaged = text[:at] + data.draw(st.text(max_size=3)) + text[at + 1 :]
    with contextlib.suppress(DocumentError):
        parse_registers(damaged)
