# SPDX-License-Identifier: MIT
"""Predictions and logs of real boots in QEMU: what firmware, stub and kernel really do.

Each prediction was made from the files before the boot; tests/vectors/measure/README.md says how.
"""

from pathlib import Path

import pytest

from buildernet.attestation.event_log import EventLog, parse_event_log
from buildernet.attestation.registers import Bank
from buildernet.attestation.replay import replay_rtmrs
from buildernet.measure.documents import parse_prediction
from buildernet.measure.events import Variant
from buildernet.measure.explain import Comparison, compare
from buildernet.measure.live import compare_live, parse_registers
from buildernet.measure.prediction import PROMISED_RTMRS, Prediction

pytestmark = pytest.mark.interop

VECTORS = Path(__file__).resolve().parents[1] / "vectors" / "measure"


def load_prediction(name: str) -> Prediction:
    return parse_prediction((VECTORS / f"{name}.events.json").read_bytes())


def load_log(name: str) -> EventLog:
    return parse_event_log((VECTORS / f"{name}.log.bin").read_bytes())


def compared(prediction: str, log: str) -> Comparison:
    return compare(load_prediction(prediction), load_log(log))


def causes(comparison: Comparison) -> set[str]:
    return {row.cause.key for row in comparison.mismatches if row.cause}


@pytest.mark.parametrize(
    "name", ["disk-stub257", "direct-stub257-extras", "direct-stub252", "direct-stub262"]
)
def test_boot_went_as_predicted(name: str) -> None:
    comparison = compared(name, name)
    assert comparison.mismatches == ()
    assert comparison.matches
    assert comparison.variant is None


def test_firmware_of_2026_makes_the_kernel_retry() -> None:
    comparison = compared("disk-stub257-ovmf2026", "disk-stub257-ovmf2026")
    assert comparison.matches
    assert comparison.variant is Variant.EXIT_RETRY


@pytest.mark.parametrize("name", ["disk-stub257", "direct-stub262", "disk-stub257-ovmf2026"])
def test_log_gives_the_predicted_rtmrs(name: str) -> None:
    """The separators of seven PCRs are one event on TDX; stub 252 has no sections there."""
    prediction, rtmrs = load_prediction(name), replay_rtmrs(load_log(name))
    for register in PROMISED_RTMRS:
        assert rtmrs[register] in prediction.values(register, Bank.SHA384)


def test_registers_read_in_the_guest_agree() -> None:
    registers = parse_registers((VECTORS / "disk-stub257.registers.json").read_bytes())
    name = "disk-stub257"
    rows = compare_live(registers, load_log(name), load_prediction(name))
    assert len(rows) == 2 * 16
    assert not any(row.is_mismatch for row in rows)


def test_boot_secret_of_a_writable_esp_is_recognised() -> None:
    prediction = load_prediction("disk-stub262")
    assert prediction.conditions
    assert causes(compare(prediction, load_log("disk-stub262"))) == {"boot-secret"}


def test_option_rom_of_a_network_device_is_recognised() -> None:
    assert causes(compared("disk-stub257", "disk-stub257-option-rom")) == {"option-rom"}


def test_direct_boot_of_the_same_image_is_recognised() -> None:
    assert causes(compared("disk-stub257", "direct-stub257")) == {"event-moved", "gpt-missing"}


def test_other_firmware_is_recognised() -> None:
    assert "firmware-changed" in causes(compared("disk-stub257", "disk-stub257-ovmf2026"))
