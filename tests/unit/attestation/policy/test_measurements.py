# SPDX-License-Identifier: MIT
"""Evidence fits one record whole, or the nearest record's difference is named."""

import pytest

from buildernet.attestation.errors import MeasurementMismatchError, PolicyError, VerificationError
from buildernet.attestation.policy import MeasurementPolicy, MeasurementRecord, Platform
from buildernet.attestation.registers import Digest48, Register

ONE, TWO = (Digest48(bytes([number]) * 48) for number in (1, 2))


def record(name: str, **expected: tuple[Digest48, ...]) -> MeasurementRecord:
    registers = {Register(register): values for register, values in expected.items()}
    return MeasurementRecord(name, Platform.DCAP_TDX, registers)


POLICY = MeasurementPolicy(
    (
        record("first", mrtd=(ONE,), rtmr1=(ONE,), rtmr2=(ONE,)),
        record("second", mrtd=(ONE, TWO), rtmr1=(TWO,), rtmr2=(TWO,)),
    )
)


def registers(**values: Digest48) -> dict[Register, Digest48]:
    return {Register(register): value for register, value in values.items()}


def test_every_register_of_one_record_must_fit() -> None:
    match = POLICY.match(Platform.DCAP_TDX, registers(mrtd=TWO, rtmr1=TWO, rtmr2=TWO, rtmr3=ONE))
    assert match.record.measurement_id == "second"
    assert match.compared == (Register.MRTD, Register.RTMR1, Register.RTMR2)


def test_records_are_not_mixed() -> None:
    with pytest.raises(MeasurementMismatchError) as caught:
        POLICY.match(Platform.DCAP_TDX, registers(mrtd=ONE, rtmr1=ONE, rtmr2=TWO))
    error = caught.value
    assert (error.register, error.expected, error.actual) == ("rtmr2", ONE.hex(), TWO.hex())


def test_a_missing_register_fits_nothing() -> None:
    with pytest.raises(MeasurementMismatchError, match=r"rtmr2: expected 01.* got no value"):
        POLICY.match(Platform.DCAP_TDX, registers(mrtd=ONE, rtmr1=ONE))


def test_records_of_other_platforms_fit_nothing() -> None:
    with pytest.raises(VerificationError, match="platform: expected dcap-tdx, got azure-tdx"):
        POLICY.match(Platform.AZURE_TDX, registers(mrtd=ONE, rtmr1=ONE, rtmr2=ONE))


def test_policies_that_accept_nothing_or_anything_are_refused() -> None:
    with pytest.raises(PolicyError, match="no record"):
        MeasurementPolicy(())
    with pytest.raises(PolicyError, match="accept anything"):
        MeasurementPolicy((record("empty"),))
