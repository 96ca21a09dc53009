# SPDX-License-Identifier: MIT
"""Both protocols between proxies whose evidence a simulated Azure machine gives, verified whole.

Real quotes of a software TPM, the production verifier, simulated roots named by explicit option.
"""

from __future__ import annotations

import json
import logging
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("tpm2_pytss", reason="needs tpm2-pytss (extra `tpm` of services)")

from buildernet.attestation.issue.errors import NoProviderError
from buildernet.attestation.issue.tpm import TPM
from buildernet.attestation.policy import MeasurementPolicy, MeasurementRecord, Platform
from buildernet.attestation.registers import Bank, Digest32, Register
from buildernet.attestation.verify import TrustAnchors
from buildernet.attested_proxy import issuing
from buildernet.attested_proxy.config import AzureSource, ClientConfig, ServerConfig
from buildernet.attested_proxy.evidence import AttestationType
from buildernet.attested_proxy.judge import Judge
from buildernet.attested_proxy.verification import AzureAnchors, EvidenceValidator
from tests.support.attested_tls import attested_client, attested_server, backend
from tests.support.simulated_azure import CHAIN, ROOT, SimulatedAzure, simulated_azure
from tests.support.simulated_tee.chain import collateral_at
from tests.support.tpm_quotes import AT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from buildernet.attested_proxy.evidence import Issuer

PROTOCOLS = ("a", "b")
OTHER = Digest32(b"\1" * 32)


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatedAzure]:
    with simulated_azure(tmp_path_factory.mktemp("tpm")) as azure:
        yield azure


@pytest.fixture(autouse=True)
def here(machine: SimulatedAzure, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the proxy find the machine's TPM and host where Azure's would be."""
    monkeypatch.setattr(issuing, "_open_azure", lambda _source: machine.quotes())


@asynccontextmanager
async def issued(tmp_path: Path, kind: str = "azure-tdx") -> AsyncIterator[Issuer]:
    async with issuing.issuing(kind, tmp_path / "no-tsm", AzureSource()) as issuer:
        assert issuer is not None
        yield issuer


def judge(
    machine: SimulatedAzure,
    *,
    pcr11: Digest32 | None = None,
    anchors: AzureAnchors = AzureAnchors(roots=(ROOT,)),  # noqa: B008  # frozen
) -> Judge:
    """Demand the image that the machine runs, or one with another PCR 11."""
    if pcr11 is None:
        with TPM(machine.tcti) as tpm:
            pcr11 = Digest32(bytes(tpm.read_pcrs(Bank.SHA256, [11])[11]))
    expected = {Register.PCR11: (pcr11,)}
    record = MeasurementRecord("image", Platform.AZURE_TDX, expected)
    validator = EvidenceValidator(
        find_collateral=lambda _quote: collateral_at(CHAIN, AT),
        measurements=MeasurementPolicy((record,)),
        roots=TrustAnchors(roots=(CHAIN.root.der,)),
        azure=anchors,
        clock=lambda: AT,
    )
    return Judge(validator, frozenset({AttestationType.AZURE_TDX}))


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_server_proves_itself(machine: SimulatedAzure, tmp_path: Path, protocol: str) -> None:
    async with (
        backend() as behind,
        issued(tmp_path) as issuer,
        attested_server(ServerConfig(target_addr=f"localhost:{behind.port}"), issuer=issuer) as run,
        attested_client(
            run.port, judge=judge(machine), config=ClientConfig("", protocol=protocol)
        ) as (session, _),
        session.get("/") as answer,
    ):
        assert (answer.status, await answer.read()) == (200, b"hello")
        assert answer.headers["X-Flashbots-Attestation-Type"] == "azure-tdx"
        assert len(json.loads(answer.headers["X-Flashbots-Measurement"])) == 24


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_both_ends_prove_themselves(
    machine: SimulatedAzure, tmp_path: Path, protocol: str
) -> None:
    async with (
        backend() as behind,
        issued(tmp_path) as issuer,
        attested_server(
            ServerConfig(target_addr=f"localhost:{behind.port}"),
            issuer=issuer,
            judge=judge(machine),
        ) as run,
        attested_client(
            run.port,
            judge=judge(machine),
            issuer=issuer,
            config=ClientConfig("", protocol=protocol),
        ) as (session, _),
        session.get("/") as answer,
    ):
        assert answer.status == 200
        [(_, _, headers, _)] = behind.requests
        assert headers["X-Flashbots-Attestation-Type"] == "azure-tdx"
        assert "11" in json.loads(headers["X-Flashbots-Measurement"])


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_other_image_is_refused(
    machine: SimulatedAzure, tmp_path: Path, protocol: str
) -> None:
    async with (
        backend() as behind,
        issued(tmp_path) as issuer,
        attested_server(ServerConfig(target_addr=f"localhost:{behind.port}"), issuer=issuer) as run,
        attested_client(
            run.port,
            judge=judge(machine, pcr11=OTHER),
            config=ClientConfig("", protocol=protocol),
        ) as (session, _),
        session.get("/") as answer,
    ):
        assert answer.status == 502
        assert "register pcr11" in await answer.text()
        assert behind.requests == []


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_simulated_machine_is_refused_unless_its_root_is_named(
    machine: SimulatedAzure, tmp_path: Path, protocol: str
) -> None:
    async with (
        issued(tmp_path) as issuer,
        attested_server(ServerConfig(serve_certificate=True), issuer=issuer) as run,
        attested_client(
            run.port,
            judge=judge(machine, anchors=AzureAnchors()),
            config=ClientConfig("", protocol=protocol),
        ) as (session, _),
        session.get("/cert") as answer,
    ):
        assert answer.status == 502
        assert "does not lead to a trusted root" in await answer.text()


class Uncertified:
    """Sends what cvm-reverse-proxy sends: no certificate of the attestation key."""

    attestation_type = AttestationType.AZURE_TDX

    def __init__(self, machine: SimulatedAzure) -> None:
        self._machine = machine

    async def issue(self, report_data: bytes) -> bytes:
        raise NotImplementedError

    async def issue_document(self, user_data: bytes, extra_data: bytes) -> bytes:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(
                "buildernet.attestation.issue.azure.encode_instance_info", _without_certificate
            )
            return self._machine.quotes().document(user_data, extra_data)


def _without_certificate(*, tdx_quote: bytes, runtime_data: bytes, ak_certificate: object) -> bytes:
    from buildernet.attestation.azure import tpm_document

    fields = {"AttestationReport": tdx_quote, "RuntimeData": runtime_data}
    return json.dumps({name: tpm_document._base64(data) for name, data in fields.items()}).encode()


@pytest.mark.parametrize(("accepting", "status"), [(False, 502), (True, 200)])
async def test_uncertified_key_is_refused_unless_asked_for(
    machine: SimulatedAzure, accepting: bool, status: int
) -> None:
    anchors = AzureAnchors(roots=(ROOT,), dangerously_accept_without_certificate=accepting)
    async with (
        attested_server(ServerConfig(serve_certificate=True), issuer=Uncertified(machine)) as run,
        attested_client(
            run.port,
            judge=judge(machine, anchors=anchors),
            config=ClientConfig("", protocol="a"),
        ) as (session, _),
        session.get("/cert") as answer,
    ):
        assert answer.status == status
        if not accepting:
            assert "step T6" in await answer.text()


async def test_auto_says_what_it_chose_and_why(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger=issuing.__name__):
        async with issued(tmp_path, "auto") as issuer:
            assert issuer.attestation_type is AttestationType.AZURE_TDX
    assert "auto chose=azure-tdx reason=the vTPM holds Azure's HCL report" in caplog.text


async def test_named_type_without_its_library_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(issuing, "_open_azure", lambda _source: None)
    with pytest.raises(NoProviderError, match="needs tpm2-pytss"):
        async with issued(tmp_path):
            pass


async def test_intermediates_are_fetched_when_asked_for(
    tmp_path: Path, machine: SimulatedAzure, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fetched(*_: object, **__: object) -> tuple[object, ...]:
        return (ROOT,)

    monkeypatch.setattr(issuing, "fetch_ak_issuers", fetched)
    for asked, sent in ((False, 0), (True, 1)):
        source = replace(AzureSource(), fetch_ak_issuers=asked)
        async with issuing.issuing("azure-tdx", tmp_path, source) as issuer:
            assert issuer is not None
            document = json.loads(await issuer.issue(bytes(64)))
        issuers = document["tpm_attestation"]["ak_intermediate_certificates_pem"]
        assert len(issuers) == sent
    assert machine.asked > 0
