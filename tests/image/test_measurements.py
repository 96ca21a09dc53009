# SPDX-License-Identifier: MIT
"""What a boot measured is what was published before it, in both boot paths and both banks."""

import json
import re
from pathlib import Path

import pytest

from buildernet.attestation.event_log import parse_event_log
from buildernet.attestation.registers import PCRS, Bank, Register
from buildernet.attestation.replay import replay, replay_rtmrs
from buildernet.measure.live import parse_registers
from tests.harness.artefacts import DeployedImage
from tests.image.boots import Reading
from tests.image.explaining import explain, measure

pytestmark = [pytest.mark.qemu, pytest.mark.timeout(600)]

BANKS = (Bank.SHA256, Bank.SHA384)
PROMISED = tuple(PCRS[number] for number in (4, 5, 9, 11))
"""The registers a verifier of this image pins; the prediction may promise more."""
KERNEL_MESSAGE = re.compile(r"\[ *\d+\.\d{6}\] (?!\S+\[\d+\]: ).*\n")
"""The kernel's own line, not one of a service, which carries the name and number of its process."""


@pytest.fixture(params=["gpt", "direct"])
def boot(request: pytest.FixtureRequest) -> Reading:
    """Both ways to boot the image."""
    reading: Reading = request.getfixturevalue("production" if request.param == "gpt" else "direct")
    return reading


@pytest.fixture
def direct_events(image: DeployedImage, tmp_path: Path) -> Path:
    """A third party's prediction for `-kernel uki.efi`."""
    events = tmp_path / "direct-events.json"
    arguments = ("--firmware", image.firmware, "--boot", "direct", "--out-events", events)
    result = measure("image", image.uki, *arguments)
    assert result.returncode == 0, result.stderr
    return events


def test_a_boot_from_disk_is_as_published(image, production, tmp_path):
    explanation = explain(image.events, production, tmp_path)
    assert explanation.status == 0, explanation.text
    assert explanation.document["banks"] == list(BANKS)


def test_a_direct_boot_is_as_predicted(direct_events, direct, tmp_path):
    explanation = explain(direct_events, direct, tmp_path)
    assert explanation.status == 0, explanation.text


def test_the_two_boot_paths_are_told_apart(image, direct, tmp_path):
    explanation = explain(image.events, direct, tmp_path)
    assert explanation.status == 1
    assert {register for register, _, _ in explanation.mismatches} >= {"pcr4", "pcr5"}


@pytest.mark.parametrize("bank", BANKS)
def test_live_registers_are_what_the_log_replays_to(boot, bank):
    live = parse_registers(boot.registers)
    replayed = replay(parse_event_log(boot.log), bank)
    for register in (*PROMISED, PCRS[0], PCRS[1], PCRS[2], PCRS[3], PCRS[6], PCRS[7]):
        assert live[register][bank] == replayed[register], register


def test_the_console_shows_the_same_registers(production):
    # The kernel writes to the same console at any moment, also in the middle of another's line.
    said = KERNEL_MESSAGE.sub("", production.machine.console.transcript())
    printed = set(re.findall(r"measured-boot: (pcr) (sha\d+) (\d+) ([0-9a-f]+)", said))
    live = parse_registers(production.registers)
    expected = {
        ("pcr", str(bank), str(register.number), value.hex())
        for register, banks in live.items()
        for bank, value in banks.items()
    }
    assert len(printed) == len(BANKS) * len(PCRS)
    assert printed == expected


def test_the_published_registers_are_those_of_the_boot(image, production):
    log = parse_event_log(production.log)
    records = json.loads(image.measurements.read_text())
    by_type = {record["attestation_type"]: record["measurements"] for record in records}
    live = parse_registers(production.registers)
    for register in (PCRS[4], PCRS[9], PCRS[11]):
        assert live[register][Bank.SHA256].hex() in legal(by_type["azure-tdx"], register)
    rtmrs = replay_rtmrs(log)
    for register in (Register.RTMR1, Register.RTMR2):
        assert rtmrs[register].hex() in legal(by_type["dcap-tdx"], register)


def legal(measurements: dict[str, dict[str, object]], register: Register) -> list[object]:
    """The values a record allows, whether it names registers or numbers them."""
    entry = measurements.get(register.value) or measurements[str(register.number)]
    several = entry.get("expected_any", [entry.get("expected")])
    assert isinstance(several, list)
    return several
