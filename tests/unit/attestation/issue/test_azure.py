# SPDX-License-Identifier: MIT
"""The Azure client with recorded parts for a vTPM and a host."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import json
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from buildernet.attestation.azure import AzureEvidence, parse_azure_evidence
from buildernet.attestation.issue import azure
from buildernet.attestation.issue.azure import AzureQuotes
from buildernet.attestation.issue.errors import (
    AzureServiceError,
    NoProviderError,
    QuoteUnavailableError,
    TPMError,
)
from buildernet.attestation.quote import parse_quote
from buildernet.attestation.registers import Bank
from buildernet.attestation.tpm_quote import Scheme, TPMSignature
from tests.support.azure_evidence import WITHOUT_ISSUERS, recorded_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

INPUT = bytes(64)


class RecordedMachine:
    """Answers like the machine that the evidence was recorded on."""

    def __init__(self) -> None:
        self.recorded: AzureEvidence = parse_azure_evidence(recorded_json(WITHOUT_ISSUERS))
        self.nv = {
            azure.HCL_REPORT_INDEX: self.recorded.hcl_report,
            azure.AK_CERTIFICATE_INDEX: self.recorded.ak_certificate.public_bytes(Encoding.DER)
            + bytes(3000),
        }
        self.answer = json.dumps({"quote": encode(self.recorded.tdx_quote)}).encode()
        self.asked: list[tuple[str, Mapping[str, str], bytes]] = []
        self.slept: list[float] = []

    @contextlib.contextmanager
    def open(self) -> Iterator[RecordedMachine]:
        yield self

    def quotes(self, **changes: Any) -> AzureQuotes:
        return AzureQuotes(self.open, self.post, sleep=self.slept.append, **changes)

    def read_nv(self, index: int) -> bytes:
        if index not in self.nv:
            raise TPMError("no such index")
        return self.nv[index]

    def write_nv(self, index: int, data: bytes) -> None:
        self.nv[index] = data

    def open_attestation_key(self, handle: int) -> Any:
        assert handle == 0x81000003

    def quote(self, _key: Any, *, nonce: bytes, selection: Any) -> Any:
        from buildernet.attestation.issue.tpm import QuotedPCRs

        assert (nonce, selection) == (INPUT[:32], {Bank.SHA256: range(24)})
        quote = self.recorded.quote
        signature = TPMSignature(Scheme.RSASSA, Bank.SHA256, quote.signature)
        return QuotedPCRs(quote.message, signature, quote.pcrs)

    def post(self, url: str, *, headers: Mapping[str, str], body: bytes, limit: int) -> bytes:
        self.asked.append((url, headers, body))
        assert len(self.answer) <= limit
        return self.answer


def encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@pytest.fixture
def machine() -> RecordedMachine:
    pytest.importorskip("tpm2_pytss", reason="needs tpm2-pytss (extra `tpm` of services)")
    return RecordedMachine()


def test_document_is_the_recorded_one(machine: RecordedMachine):
    evidence = parse_azure_evidence(machine.quotes().evidence(INPUT))
    raw = parse_quote(machine.recorded.tdx_quote).raw  # without padding
    assert evidence == dataclasses.replace(machine.recorded, tdx_quote=raw)
    assert machine.nv[azure.USER_DATA_INDEX] == INPUT
    (url, headers, body), *more = machine.asked
    assert (url, headers["Metadata"], more) == (azure.QUOTE_URL, "true", [])
    report = json.loads(body)["report"]
    assert report == encode(machine.recorded.hcl_report[32:1056])


def test_issuers_of_the_key_are_sent_along(machine: RecordedMachine):
    issuer = machine.recorded.ak_certificate
    made = machine.quotes(ak_issuers=(issuer,)).evidence(INPUT)
    assert parse_azure_evidence(made).ak_issuers == (issuer,)


def test_endpoint_can_be_configured(machine: RecordedMachine):
    machine.quotes(quote_url="http://127.0.0.1:1/quote").evidence(INPUT)
    assert machine.asked[0][0] == "http://127.0.0.1:1/quote"


def test_report_that_is_never_renewed_is_given_up(machine: RecordedMachine):
    with pytest.raises(QuoteUnavailableError, match="did not renew"):
        machine.quotes().evidence(b"\1" * 64)
    assert machine.slept == [azure.REFRESH_SECONDS] * (azure.REFRESH_ATTEMPTS - 1)
    assert machine.asked == []


@pytest.mark.parametrize(
    "answer",
    [b"", b"{}", b"[]", b"3", b'{"quote":3}', b'{"quote":"!"}', b'{"quote":""}', b"[" * 3000],
)
def test_answer_without_a_quote_is_refused(machine: RecordedMachine, answer: bytes):
    machine.answer = answer
    with pytest.raises(AzureServiceError, match="tdquote: "):
        machine.quotes().evidence(INPUT)


def test_quote_about_another_report_is_refused(machine: RecordedMachine):
    quote = bytearray(machine.recorded.tdx_quote)
    quote[568] ^= 1
    machine.answer = json.dumps({"quote": encode(bytes(quote))}).encode()
    with pytest.raises(AzureServiceError, match="another report"):
        machine.quotes().evidence(INPUT)


def test_host_that_cannot_be_reached_is_named(machine: RecordedMachine, monkeypatch: Any):
    def refuse(*_: Any, **__: Any) -> bytes:
        raise ConnectionRefusedError("refused")

    monkeypatch.setattr(machine, "post", refuse)
    with pytest.raises(AzureServiceError, match=r"169\.254\.169\.254/acc/tdquote: refused"):
        machine.quotes().evidence(INPUT)


@pytest.mark.parametrize("index", [azure.HCL_REPORT_INDEX, azure.AK_CERTIFICATE_INDEX])
def test_damaged_index_is_refused(machine: RecordedMachine, index: int):
    machine.nv[index] = b"\0" * 1300
    with pytest.raises(QuoteUnavailableError, match="damaged value"):
        machine.quotes().evidence(INPUT)


def test_other_machines_are_told_apart(machine: RecordedMachine):
    machine.quotes().check()
    for nv in ({azure.HCL_REPORT_INDEX: b"other"}, {}):
        machine.nv = nv
        with pytest.raises(NoProviderError, match="no HCL report"):
            machine.quotes().check()


def test_wrong_length_asks_nobody(machine: RecordedMachine):
    with pytest.raises(QuoteUnavailableError, match="63 bytes"):
        machine.quotes().evidence(INPUT[1:])
    assert machine.nv.keys() == {azure.HCL_REPORT_INDEX, azure.AK_CERTIFICATE_INDEX}
