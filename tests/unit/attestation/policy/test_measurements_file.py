# SPDX-License-Identifier: MIT
"""Measurements from a file that comes late and changes; our own in the same form."""

from pathlib import Path

import pytest

from buildernet.attestation.errors import MeasurementMismatchError, PolicyError
from buildernet.attestation.policy import (
    MeasurementsFile,
    Platform,
    encode_own_measurements,
    parse_measurement_policy,
)
from buildernet.attestation.quote import parse_quote
from buildernet.attestation.registers import PCRS, Digest32, Register
from tests.support.minted_chain import Domain, shared_chain

OWN = parse_quote(shared_chain().quote(Domain())).body.registers


def test_own_measurements_take_the_same_image_on_another_machine_and_no_other_image() -> None:
    policy = parse_measurement_policy(encode_own_measurements(Platform.DCAP_TDX, OWN))
    other = parse_quote(shared_chain().quote(Domain(mrtd=b"\x99" * 48))).body.registers
    elsewhere = {**OWN, Register.RTMR0: other[Register.MRTD]}
    assert policy.match(Platform.DCAP_TDX, elsewhere).record.measurement_id == "own"
    for register in (Register.MRTD, Register.RTMR1, Register.RTMR2):
        with pytest.raises(MeasurementMismatchError, match=register):
            policy.match(Platform.DCAP_TDX, {**OWN, register: other[Register.MRTD]})


def test_own_measurements_of_azure() -> None:
    registers = {register: Digest32(bytes([register.number]) * 32) for register in PCRS}
    policy = parse_measurement_policy(encode_own_measurements(Platform.AZURE_TDX, registers))
    assert set(policy.records[0].expected) == {PCRS[4], PCRS[9], PCRS[11]}
    assert policy.match(Platform.AZURE_TDX, registers)


def test_file_may_come_late_and_be_replaced(tmp_path: Path) -> None:
    path = tmp_path / "measurements.json"
    file = MeasurementsFile(path)
    with pytest.raises(PolicyError, match="cannot read"):
        file.read()
    path.write_bytes(encode_own_measurements(Platform.DCAP_TDX, OWN))
    first = file.read()
    assert file.read() is first
    new = tmp_path / "new"
    new.write_text("[]")
    new.replace(path)
    for _ in range(2):  # what was there before counts no longer
        with pytest.raises(PolicyError, match="no record"):
            file.read()
    path.unlink()
    with pytest.raises(PolicyError, match="cannot read"):
        file.read()
