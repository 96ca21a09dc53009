# SPDX-License-Identifier: MIT
"""Protocol A's Azure document: as Go writes it, and damaged."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from buildernet.attestation.azure import (
    AzureDemands,
    parse_azure_tpm_document,
    verify_azure_tpm_document,
)
from buildernet.attestation.azure.tpm_document import (
    MAX_DOCUMENT_BYTES,
    MAX_QUOTES,
    encode_azure_tpm_document,
    encode_instance_info,
)
from buildernet.attestation.errors import AzureEvidenceFormatError, VerificationError
from buildernet.attestation.registers import Bank
from buildernet.attestation.verify import TrustAnchors
from tests.support.simulated_tee.chain import collateral_at, load_chain
from tests.support.tpm_quotes import AT, make_certificate

CHAIN = load_chain()
GO_BUILT = Path(__file__).parents[3] / "vectors/azure/go-built-document.json"
DOCUMENT = GO_BUILT.read_bytes()
INPUT = bytes(range(64))
USER, EXTRA = INPUT[:32], INPUT[32:]


def verify(document: bytes = DOCUMENT, *, accepting: bool = True, **changes: Any):
    bound = {"user_data": USER, "extra_data": EXTRA, **changes}
    return verify_azure_tpm_document(
        parse_azure_tpm_document(document),
        AzureDemands(
            collateral=collateral_at(CHAIN, AT),
            at=AT,
            measurements=None,
            roots=TrustAnchors(roots=(CHAIN.root.der,)),
        ),
        dangerously_accept_without_ak_certificate=accepting,
        **bound,
    )


def test_document_built_by_go_is_verified():
    assert len(verify().registers) == 24


def test_names_are_those_of_go():
    """`encoding/json` writes the tags of the generated structures, not protobuf's JSON names."""
    document = json.loads(DOCUMENT)
    assert list(document) == ["Attestation", "InstanceInfo", "UserData"]
    attestation = document["Attestation"]
    assert set(attestation) == {"ak_pub", "quotes", "event_log", "TeeAttestation"}
    [quote] = attestation["quotes"]
    assert set(quote) == {"quote", "raw_sig", "pcrs"}
    assert (quote["pcrs"]["hash"], len(quote["pcrs"]["pcrs"])) == (11, 24)
    instance = json.loads(base64.b64decode(document["InstanceInfo"]))
    assert list(instance) == ["AttestationReport", "RuntimeData"]


def test_what_we_write_differs_from_go_in_order_alone():
    theirs = json.loads(DOCUMENT)
    parsed = parse_azure_tpm_document(DOCUMENT)
    ours = encode_azure_tpm_document(
        parsed.quote,
        instance_info=parsed.instance_info,
        user_data=parsed.user_data,
        ak_public=base64.b64decode(theirs["Attestation"]["ak_pub"]),
        ak_issuers=(),
        event_log=base64.b64decode(theirs["Attestation"]["event_log"]),
    )
    assert json.loads(ours) == theirs


def test_key_that_nobody_certified_is_refused_by_default():
    with pytest.raises(VerificationError, match="step T6") as refused:
        verify(accepting=False)
    assert [record.step for record in refused.value.passed][-1] == "T5"


@pytest.mark.parametrize(
    ("changes", "step"), [({"user_data": EXTRA}, "Z4"), ({"extra_data": USER}, "T3")]
)
def test_document_for_another_connection_is_refused(changes: dict[str, Any], step: str):
    with pytest.raises(VerificationError, match=f"step {step}"):
        verify(**changes)


def changed(change: Any) -> bytes:
    document = json.loads(DOCUMENT)
    change(document)
    return json.dumps(document).encode()


def with_instance(**fields: bytes) -> bytes:
    def change(document: dict[str, Any]) -> None:
        instance = json.loads(base64.b64decode(document["InstanceInfo"]))
        instance |= {name: base64.b64encode(data).decode() for name, data in fields.items()}
        document["InstanceInfo"] = base64.b64encode(json.dumps(instance).encode()).decode()

    return changed(change)


def test_other_claims_are_refused():
    claims = parse_azure_tpm_document(DOCUMENT).runtime_data
    other = claims.replace(b'"SIMULATED"', b'"SIMILATED"')
    assert other != claims
    with pytest.raises(VerificationError, match="step Z2"):
        verify(with_instance(RuntimeData=other))


def test_instance_info_is_under_the_quote():
    """A certificate slipped in changes the nonce."""
    parsed = parse_azure_tpm_document(DOCUMENT)
    certificate = make_certificate("ak", ec.generate_private_key(ec.SECP256R1()))
    info = encode_instance_info(
        tdx_quote=parsed.tdx_quote, runtime_data=parsed.runtime_data, ak_certificate=certificate
    )
    document = changed(lambda d: d.update(InstanceInfo=base64.b64encode(info).decode()))
    assert parse_azure_tpm_document(document).ak_certificate == certificate
    with pytest.raises(VerificationError, match="step T3"):
        verify(document)


def test_registers_are_those_that_were_signed():
    """The reference compares the PCRs of a bank whose quote it may not have verified."""

    def change(document: dict[str, Any]) -> None:
        pcrs = document["Attestation"]["quotes"][0]["pcrs"]["pcrs"]
        pcrs["11"] = base64.b64encode(bytes(32)).decode()

    with pytest.raises(VerificationError, match="step T5"):
        verify(changed(change))


def test_quotes_of_other_banks_are_left_alone():
    def change(document: dict[str, Any]) -> None:
        sha1 = {"quote": "", "raw_sig": "", "pcrs": {"hash": 4, "pcrs": {}}}
        document["Attestation"]["quotes"].insert(0, sha1)

    assert verify(changed(change)).tpm_quote.selection == {Bank.SHA256: tuple(range(24))}


def _quote(document: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = document["Attestation"]["quotes"][0]
    return found


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.pop("Attestation"),
        lambda d: d.update(Attestation=None),
        lambda d: d.update(InstanceInfo="!"),
        lambda d: d.update(InstanceInfo=base64.b64encode(b"[]").decode()),
        lambda d: d.update(UserData="AAAA"),
        lambda d: d["Attestation"].update(quotes=[]),
        lambda d: d["Attestation"].update(quotes=d["Attestation"]["quotes"] * 2),
        lambda d: d["Attestation"].update(quotes=[_quote(d)] * (MAX_QUOTES + 1)),
        lambda d: d["Attestation"].update(quotes={}),
        lambda d: d["Attestation"].update(intermediate_certs=["AAAA"]),
        lambda d: d["Attestation"].update(intermediate_certs=["AAAA"] * 9),
        lambda d: _quote(d).update(raw_sig="AAAA"),
        lambda d: _quote(d)["pcrs"]["pcrs"].pop("23"),
        lambda d: _quote(d)["pcrs"]["pcrs"].update({"24": _quote(d)["pcrs"]["pcrs"]["23"]}),
        lambda d: _quote(d)["pcrs"]["pcrs"].update({"011": _quote(d)["pcrs"]["pcrs"]["11"]}),
        lambda d: _quote(d)["pcrs"]["pcrs"].update({"0": "AAAA"}),
    ],
)
def test_malformed_documents_are_refused(change: Any):
    with pytest.raises(AzureEvidenceFormatError):
        parse_azure_tpm_document(changed(change))


def test_a_member_twice_is_refused_whatever_its_case():
    for name in (b"UserData", b"userdata"):
        twice = DOCUMENT.replace(b'"UserData"', b'"' + name + b'":"AAAA","UserData"')
        with pytest.raises(AzureEvidenceFormatError, match="given twice"):
            parse_azure_tpm_document(twice)


def test_a_document_too_large_is_refused():
    with pytest.raises(AzureEvidenceFormatError, match="limit"):
        parse_azure_tpm_document(DOCUMENT.ljust(MAX_DOCUMENT_BYTES + 1))


@given(st.integers(0, len(DOCUMENT) - 1), st.integers(0, 255))
def test_any_change_is_parsed_or_refused(place: int, octet: int):
    damaged = DOCUMENT[:place] + bytes([octet]) + DOCUMENT[place + 1 :]
    for document in (damaged, DOCUMENT[:place]):
        try:
            parse_azure_tpm_document(document)
        except AzureEvidenceFormatError:
            continue
