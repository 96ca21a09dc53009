# SPDX-License-Identifier: MIT
import contextlib
import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildernet.attestation.registers import PCRS, Register
from buildernet.measure.disk import open_medium
from buildernet.measure.errors import FirmwareError
from buildernet.measure.events import BootPath
from buildernet.measure.firmware import find_checkout_facts, load_facts, parse_facts
from buildernet.measure.prediction import predict
from tests.support.pe_images import make_uki
from tests.support.predictions import FIRMWARE

FACTS = {
    "schema": "buildernet-firmware/1",
    "sha256": hashlib.sha256(FIRMWARE).hexdigest(),
    "name": "test firmware",
    "events": [
        {
            "pcr": pcr,
            "type": "EV_SEPARATOR",
            "sha256": "11" * 32,
            "sha384": "22" * 48,
            "description": "d",
            "reason": "r",
        }
        for pcr in (0, 7)
    ],
}
TEXT = json.dumps(FACTS)


def test_facts_are_found_by_the_hash_of_the_firmware(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(TEXT.replace(str(FACTS["sha256"]), "00" * 32))
    assert load_facts(memoryview(FIRMWARE), tmp_path) is None
    (tmp_path / "b.json").write_text(TEXT)
    facts = load_facts(memoryview(FIRMWARE), tmp_path)
    assert facts is not None
    assert facts.name == "test firmware"
    assert load_facts(memoryview(FIRMWARE), None) is None


def test_facts_make_pcr_0_and_7_a_promise() -> None:
    prediction = predict(
        open_medium(memoryview(make_uki())),
        boot=BootPath.DIRECT,
        firmware=memoryview(FIRMWARE),
        facts=parse_facts(TEXT),
        mrtd=None,
    )
    assert {PCRS[0], PCRS[7]} <= set(prediction.promised)
    assert [event.pcr for event in prediction.events if event.pcr in (0, 7)] == [0, 7, 0]
    assert all(event.rtmr is not Register.RTMR0 for event in prediction.events)


def test_damaged_facts_name_the_file(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(TEXT.replace("buildernet-firmware/1", "x"))
    with pytest.raises(FirmwareError, match=r"a\.json: unknown schema"):
        load_facts(memoryview(FIRMWARE), tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        TEXT.replace('"pcr": 7', '"pcr": 4'),
        TEXT.replace("EV_SEPARATOR", "EV_OTHER"),
        TEXT.replace("11" * 32, "11"),
        "[" * 100000,
    ],
)
def test_other_documents_are_refused(text: str) -> None:
    with pytest.raises(FirmwareError):
        parse_facts(text)


@given(st.integers(0, len(TEXT) - 1), st.text(max_size=3))
def test_damage_raises_our_error_only(at: int, junk: str) -> None:
    with contextlib.suppress(FirmwareError):
        parse_facts(TEXT[:at] + junk + TEXT[at + 1 :])


def test_facts_of_the_checkout_are_valid_and_named_by_their_hash() -> None:
    folder = find_checkout_facts()
    assert folder is not None
    paths = sorted(folder.glob("*.json"))
    facts = [parse_facts(path.read_text()) for path in paths]
    assert len({one.sha256 for one in facts}) == len(facts) >= 1
    for one in facts:
        assert {event.pcr for event in one.events} == {0, 7}
