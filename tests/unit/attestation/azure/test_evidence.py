# SPDX-License-Identifier: MIT
"""Azure's evidence document: recorded ones, and every way of damaging them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildernet.attestation.azure import parse_azure_evidence
from buildernet.attestation.azure.evidence import MAX_EVIDENCE_BYTES
from buildernet.attestation.errors import AzureEvidenceFormatError
from buildernet.attestation.registers import Bank
from tests.support.azure_evidence import (
    WITH_ISSUERS,
    WITHOUT_ISSUERS,
    recorded_document,
    recorded_json,
)


@pytest.mark.parametrize(
    ("name", "issuers", "issuer"),
    [
        (WITHOUT_ISSUERS, 0, "CN=Global Virtual TPM CA - 03"),
        (WITH_ISSUERS, 2, "CN=Azure Cloud Virtual TPM CA - 24"),
    ],
)
def test_recorded_evidence(name: str, issuers: int, issuer: str):
    evidence = parse_azure_evidence(recorded_json(name))
    assert len(evidence.ak_issuers) == issuers
    assert evidence.ak_certificate.issuer.rfc4514_string() == issuer
    assert evidence.quote.pcrs.keys() == {Bank.SHA256}
    assert len(evidence.quote.pcrs[Bank.SHA256]) == 24
    assert len(evidence.hcl_report) == 2600


def changes() -> list[tuple[str, list[str | int], Any]]:
    tpm = "tpm_attestation"
    return [
        ("KeyError", ["tpm_attestation"], ...),
        ("TypeError", ["tpm_attestation"], 3),
        ("no string", ["tdx_quote_base64"], 3),
        ("evidence", ["hcl_report_base64"], "+"),
        ("list of 24", [tpm, "quote", "pcrs"], []),
        ("needs 32 bytes", [tpm, "quote", "pcrs", 3], [1]),
        ("no list of numbers", [tpm, "quote", "message"], "ff"),
        ("no list of numbers", [tpm, "quote", "message"], [True]),
        ("ValueError", [tpm, "quote", "signature"], [256]),
        ("not PEM", [tpm, "ak_certificate_pem"], 5),
        ("not DER", [tpm, "ak_certificate_pem"], "-----BEGIN CERTIFICATE-----AAAA"),
        ("more than 8", [tpm, "ak_intermediate_certificates_pem"], [""] * 9),
        ("more than 8", [tpm, "ak_intermediate_certificates_pem"], "x"),
    ]


@pytest.mark.parametrize(("match", "path", "value"), changes())
def test_each_fault_is_named(match: str, path: list[Any], value: Any):
    document = recorded_document(WITHOUT_ISSUERS)
    place: Any = document
    for member in path[:-1]:
        place = place[member]
    if value is ...:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    with pytest.raises(AzureEvidenceFormatError, match=match):
        parse_azure_evidence(json.dumps(document).encode())


def test_oversized_evidence_is_refused():
    with pytest.raises(AzureEvidenceFormatError, match="limit"):
        parse_azure_evidence(bytes(MAX_EVIDENCE_BYTES + 1))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=10,
)


@given(value=JSON, raw=st.binary(max_size=60))
def test_anything_else_raises_only_our_error(value: Any, raw: bytes):
    nested = {"tdx_quote_base64": "", "hcl_report_base64": "", "tpm_attestation": value}
    deep = {**nested, "tpm_attestation": {"quote": value, "ak_certificate_pem": value}}
    for data in (raw, *(json.dumps(document).encode() for document in (value, nested, deep))):
        with pytest.raises(AzureEvidenceFormatError):
            parse_azure_evidence(data)
