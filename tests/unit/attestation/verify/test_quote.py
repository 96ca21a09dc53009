# SPDX-License-Identifier: MIT
"""The whole verification: what passes, and what step L compares."""

import pytest

from buildernet.attestation.errors import (
    MeasurementMismatchError,
)
from buildernet.attestation.policy import MeasurementPolicy, MeasurementRecord, Platform
from buildernet.attestation.registers import Digest48, Register
from buildernet.attestation.verify import (
    TCBStatus,
    TDPolicy,
)
from tests.support.minted_chain import (
    Domain,
)
from tests.support.quote_verification import refused, verify


@pytest.mark.parametrize(
    "domain",
    [Domain(), Domain(version=5), *(Domain(version=5, body_type=kind) for kind in (3, 4))],
)
def test_minted_quotes_pass_every_step(domain: Domain) -> None:
    verified = verify(domain)
    assert verified.status is TCBStatus.UP_TO_DATE
    assert "".join(record.step for record in verified.steps) == "ABCDEFGHIJKL"
    assert verified.registers[Register.MRTD] == domain.mrtd
    assert verified.fmspc == bytes.fromhex("50806f000000")


def test_report_data_must_be_equal() -> None:
    assert verify(report_data=bytes(range(64)))
    refused("L", "report data", report_data=bytes(64))
    refused("L", "report data", report_data=bytes(range(32)))


def policy_of(**registers: bytes) -> MeasurementPolicy:
    expected = {Register(name): (Digest48(value),) for name, value in registers.items()}
    return MeasurementPolicy((MeasurementRecord("image", Platform.DCAP_TDX, expected),))


def test_measurements_are_compared() -> None:
    match = verify(measurements=policy_of(mrtd=b"\x11" * 48, rtmr1=b"\x21" * 48)).match
    assert match is not None
    assert match.compared == (Register.MRTD, Register.RTMR1)
    with pytest.raises(MeasurementMismatchError) as caught:
        verify(measurements=policy_of(mrtd=b"\x11" * 48, rtmr1=b"\x99" * 48))
    error = caught.value
    assert (error.step, error.register) == ("L", "rtmr1")
    assert (error.expected, error.actual) == ("99" * 48, "21" * 48)


@pytest.mark.parametrize(
    ("domain", "what"),
    [
        (Domain(td_attributes=(1 << 28) | 1), "TD attributes"),
        (Domain(mr_config_id=b"\1" * 48), "MRCONFIGID"),
        (Domain(version=5, body_type=3, mr_service_td=b"\1" * 48), "MRSERVICETD"),
    ],
)
def test_other_domains_are_refused(domain: Domain, what: str) -> None:
    refused("L", what, domain=domain)


def test_demands_on_the_domain_can_be_named() -> None:
    wanted = TDPolicy(mr_config_id=Digest48(b"\1" * 48))
    assert verify(Domain(mr_config_id=b"\1" * 48), td_policy=wanted)
    refused("L", "MRCONFIGID", td_policy=wanted)
