# SPDX-License-Identifier: MIT
"""measurements.json as its readers read it."""

import itertools
import json
from dataclasses import replace
from typing import Any

import pytest

from buildernet.attestation.registers import PCRS, Bank, Register
from buildernet.measure.events import BootPath
from buildernet.measure.prediction import Prediction
from buildernet.measure.published import Style, encode_measurements
from tests.support.predictions import make_prediction

DISK = make_prediction(boot=BootPath.GPT)


def records(prediction: Prediction, style: Style) -> list[Any]:
    text = encode_measurements(prediction, measurement_id="image", style=style)
    found: list[Any] = json.loads(text)
    return found


def legal(prediction: Prediction, register: Register) -> list[str]:
    return [value.hex() for value in prediction.values(register, Bank.SHA384)]


def test_numbers_are_for_builder_hub() -> None:
    dcap, azure = records(DISK, Style.NUMBERS)
    assert dcap == {
        "measurement_id": "image",
        "attestation_type": "dcap-tdx",
        "measurements": {
            "0": {"expected_any": legal(DISK, Register.MRTD)},
            "2": {"expected_any": legal(DISK, Register.RTMR1)},
            "3": {"expected": legal(DISK, Register.RTMR2)[0]},
        },
    }
    assert azure["attestation_type"] == "azure-tdx"
    assert azure["measurements"]["4"] == {"expected": DISK.values(PCRS[4], Bank.SHA256)[0].hex()}
    assert sorted(azure["measurements"]) == ["11", "4", "9"]


def test_names_are_for_attested_tls() -> None:
    dcap, azure = records(DISK, Style.NAMES)
    assert sorted(dcap["measurements"]) == ["mrtd", "rtmr1", "rtmr2"]
    assert sorted(azure["measurements"]) == ["pcr11", "pcr4", "pcr9"]


def test_legacy_has_one_expected_each_and_covers_every_combination() -> None:
    found = [r for r in records(DISK, Style.LEGACY) if r["attestation_type"] == "dcap-tdx"]
    values = [
        tuple(record["measurements"][key]["expected"] for key in ("0", "2", "3"))
        for record in found
    ]
    names = (Register.MRTD, Register.RTMR1, Register.RTMR2)
    assert values == list(itertools.product(*(legal(DISK, name) for name in names)))


@pytest.mark.parametrize("style", list(Style))
@pytest.mark.parametrize("boot", list(BootPath))
def test_no_record_accepts_everything(style: Style, boot: BootPath) -> None:
    for prediction in (make_prediction(boot=boot), replace(make_prediction(boot=boot), mrtd=None)):
        for record in records(prediction, style):
            lengths = {
                len(value)
                for entry in record["measurements"].values()
                for value in entry.get("expected_any", [entry.get("expected")])
            }
            assert len(lengths) == 1


def test_direct_boot_says_nothing_about_azure() -> None:
    types = [record["attestation_type"] for record in records(make_prediction(), Style.NUMBERS)]
    assert types == ["dcap-tdx"]
