# SPDX-License-Identifier: MIT
"""Azure's binding chain on recorded evidence: every link holds, and each can be broken."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from cryptography import x509

from buildernet.attestation.ak_chain import verify_ak_chain
from buildernet.attestation.azure import (
    AzureDemands,
    AzureEvidence,
    azure_roots,
    parse_azure_evidence,
    parse_hcl_report,
    verify_azure_binding,
    verify_azure_evidence,
)
from buildernet.attestation.collateral import parse_collateral
from buildernet.attestation.errors import MeasurementMismatchError, VerificationError
from buildernet.attestation.policy import MeasurementPolicy, MeasurementRecord, Platform
from buildernet.attestation.quote import parse_quote
from buildernet.attestation.registers import Bank, Digest32, Digest48, Register
from tests.support.azure_evidence import (
    FOLDER,
    WITH_ISSUERS,
    WITH_ISSUERS_AT,
    WITH_ISSUERS_COLLATERAL,
    WITHOUT_ISSUERS,
    WITHOUT_ISSUERS_AT,
    WITHOUT_ISSUERS_COLLATERAL,
    recorded_json,
)
from tests.support.shared_data import shared_file

INPUT = bytes(64)
"""The recordings were made with a report input of zeros."""


def load(name: str = WITHOUT_ISSUERS) -> AzureEvidence:
    return parse_azure_evidence(recorded_json(name))


def bind(evidence: AzureEvidence, **changes: Any):
    arguments: dict[str, Any] = {
        "td_report": parse_quote(evidence.tdx_quote).body,
        "vtpm": evidence.quote,
        "nonce": INPUT[:32],
        "user_data": INPUT,
        **changes,
    }
    return verify_azure_binding(parse_hcl_report(evidence.hcl_report), **arguments)


@pytest.mark.parametrize("name", [WITHOUT_ISSUERS, WITH_ISSUERS])
def test_recorded_binding_holds(name: str):
    quote, steps = bind(load(name))
    assert quote.selection == {Bank.SHA256: tuple(range(24))}
    assert [step.step for step in steps] == [
        *("Z1", "Z2", "Z3", "Z4"),
        *("T1", "T2", "T3", "T4", "T5"),
    ]


def test_each_link_can_break():
    evidence = load()
    body = parse_quote(evidence.tdx_quote).body
    other = Digest48(b"\1" * 48)
    pcrs = {Bank.SHA256: {**evidence.quote.pcrs[Bank.SHA256], 11: Digest32(b"\1" * 32)}}
    signature = bytes([evidence.quote.signature[0] ^ 1]) + evidence.quote.signature[1:]
    cases: list[tuple[str, dict[str, Any]]] = [
        ("Z2", {"td_report": dataclasses.replace(body, report_data=b"\1" * 64)}),
        ("Z2", {"td_report": dataclasses.replace(body, report_data=body.report_data[:63] + b"1")}),
        ("Z3", {"td_report": dataclasses.replace(body, mrtd=other)}),
        ("Z3", {"td_report": dataclasses.replace(body, rtmr3=other)}),
        ("Z3", {"td_report": dataclasses.replace(body, xfam=3)}),
        ("Z4", {"user_data": b"\1" * 64}),
        ("T2", {"vtpm": dataclasses.replace(evidence.quote, signature=signature)}),
        ("T3", {"nonce": b"\1" * 32}),
        ("T5", {"vtpm": dataclasses.replace(evidence.quote, pcrs=pcrs)}),
    ]
    for step, changes in cases:
        with pytest.raises(VerificationError) as caught:
            bind(evidence, **changes)
        assert caught.value.step == step


def test_claims_of_another_machine_are_refused():
    evidence, other = load(), parse_hcl_report(load().hcl_report)
    claims = other.runtime_data.replace(b'"console-enabled":true', b'"console-enabled":null')
    with pytest.raises(VerificationError, match="step Z2"):
        verify_azure_binding(
            dataclasses.replace(other, runtime_data=claims),
            td_report=parse_quote(evidence.tdx_quote).body,
            vtpm=evidence.quote,
            nonce=INPUT[:32],
            user_data=INPUT,
        )


def verify_chain(name: str, at: int):
    evidence = load(name)
    return verify_ak_chain(
        evidence.ak_certificate,
        issuers=evidence.ak_issuers,
        roots=azure_roots(),
        at=at,
        attestation_key=parse_hcl_report(evidence.hcl_report).claims.attestation_key,
    )


def test_recorded_chain_leads_to_the_pinned_root():
    chain = verify_chain(WITH_ISSUERS, WITH_ISSUERS_AT)
    assert [len(chain), chain[-1]] == [4, azure_roots()[0]]


def test_recorded_chain_without_its_intermediate_is_refused():
    with pytest.raises(VerificationError, match="Global Virtual TPM CA - 03") as caught:
        verify_chain(WITHOUT_ISSUERS, WITHOUT_ISSUERS_AT)
    assert caught.value.step == "T6"


def verify(
    name: str, collateral_name: str, at: int, *, measurements: MeasurementPolicy | None = None
):
    (collateral,) = parse_collateral(shared_file(f"{FOLDER}/{collateral_name}").read_bytes())
    demands = AzureDemands(collateral=collateral, at=at, measurements=measurements)
    return verify_azure_evidence(load(name), demands, report_data=INPUT)


def test_recorded_evidence_is_verified_whole():
    arguments = WITH_ISSUERS, WITH_ISSUERS_COLLATERAL, WITH_ISSUERS_AT
    verified = verify(*arguments)
    assert verified.quote.status == "UpToDate"
    assert [step.step for step in verified.steps][-6:] == ["Z1", "Z2", "Z3", "Z4", "T1-T5", "T6-T9"]
    measured = {Register.PCR4: (verified.registers[Register.PCR4],)}
    policy = MeasurementPolicy((MeasurementRecord("real", Platform.AZURE_TDX, measured),))
    match = verify(*arguments, measurements=policy).match
    assert match is not None
    assert match.record.measurement_id == "real"
    other = {Register.PCR4: (Digest32(bytes(32)),)}
    policy = MeasurementPolicy((MeasurementRecord("other", Platform.AZURE_TDX, other),))
    with pytest.raises(MeasurementMismatchError, match="register pcr4"):
        verify(*arguments, measurements=policy)


def test_recorded_evidence_without_intermediate_passes_all_but_its_chain():
    with pytest.raises(VerificationError) as caught:
        verify(WITHOUT_ISSUERS, WITHOUT_ISSUERS_COLLATERAL, WITHOUT_ISSUERS_AT)
    assert caught.value.step == "T6"


def test_pinned_roots_are_the_recorded_ones():
    for root, name in zip(
        azure_roots(),
        ("azure-virtual-tpm-root-2023.pem", "microsoft-rsa-devices-root-ca-2021.pem"),
        strict=True,
    ):
        assert root == x509.load_pem_x509_certificate(shared_file(f"{FOLDER}/{name}").read_bytes())
