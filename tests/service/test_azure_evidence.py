# SPDX-License-Identifier: MIT
"""Azure evidence from a simulated machine, both documents, verified with `cryptography` alone."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("tpm2_pytss", reason="needs tpm2-pytss (extra `tpm` of services)")

from buildernet.attestation.azure import (
    AzureDemands,
    parse_azure_evidence,
    parse_azure_tpm_document,
    verify_azure_evidence,
    verify_azure_tpm_document,
)
from buildernet.attestation.errors import VerificationError
from buildernet.attestation.verify import TrustAnchors
from tests.support.simulated_azure import CHAIN, ROOT, SimulatedAzure, simulated_azure
from tests.support.simulated_tee.chain import collateral_at
from tests.support.tpm_quotes import AT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

INPUT = bytes(range(64))
USER, EXTRA = INPUT[:32], INPUT[32:]


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatedAzure]:
    with simulated_azure(tmp_path_factory.mktemp("tpm")) as azure:
        yield azure


def demands() -> AzureDemands:
    return AzureDemands(
        collateral=collateral_at(CHAIN, AT),
        at=AT,
        measurements=None,
        roots=TrustAnchors(roots=(CHAIN.root.der,)),
        ak_roots=[ROOT],
    )


def verify(document: bytes, report_data: bytes = INPUT):
    return verify_azure_evidence(parse_azure_evidence(document), demands(), report_data=report_data)


def verify_document(document: bytes, *, user: bytes = USER, extra: bytes = EXTRA):
    return verify_azure_tpm_document(
        parse_azure_tpm_document(document),
        demands(),
        user_data=user,
        extra_data=extra,
    )


def test_issued_evidence_is_verified(machine: SimulatedAzure):
    machine.quotes().check()
    verified = verify(machine.quotes().evidence(INPUT))
    assert len(verified.registers) == 24
    assert verified.steps[-1].details == ("CN=ak", "CN=SIMULATED vTPM root")


def test_evidence_for_another_channel_is_refused(machine: SimulatedAzure):
    document = machine.quotes().evidence(INPUT)
    with pytest.raises(VerificationError, match="user data") as caught:
        verify(document, INPUT[::-1])
    assert caught.value.step == "Z4"


def test_report_of_another_tpm_is_refused(machine: SimulatedAzure, tmp_path: Path):
    with simulated_azure(tmp_path) as stranger:
        other = json.loads(stranger.quotes().evidence(INPUT))
    mixed = json.loads(machine.quotes().evidence(INPUT))
    mixed["tpm_attestation"]["quote"] = other["tpm_attestation"]["quote"]
    with pytest.raises(VerificationError, match="step T2"):
        verify(json.dumps(mixed).encode())
    mixed = json.loads(machine.quotes().evidence(INPUT))
    mixed["tpm_attestation"]["ak_certificate_pem"] = other["tpm_attestation"]["ak_certificate_pem"]
    with pytest.raises(VerificationError, match="step T9"):
        verify(json.dumps(mixed).encode())


def test_issued_document_is_verified(machine: SimulatedAzure):
    verified = verify_document(machine.quotes().document(USER, EXTRA))
    assert len(verified.registers) == 24
    steps = [record.step for record in verified.steps]
    assert steps == [*"ABCDEFGHIJKL", "Z1", "Z2", "Z4", "T1", "T2", "T3", "T4", "T5", "T6-T9"]


def test_document_is_for_one_key_and_one_nonce(machine: SimulatedAzure):
    document = machine.quotes().document(USER, EXTRA)
    with pytest.raises(VerificationError, match="step Z4") as refused:
        verify_document(document, user=EXTRA)
    assert [record.step for record in refused.value.passed][-2:] == ["Z1", "Z2"]
    with pytest.raises(VerificationError, match="step T3") as refused:
        verify_document(document, extra=USER)
    assert [record.step for record in refused.value.passed][-2:] == ["T1", "T2"]
