# SPDX-License-Identifier: MIT
"""Protocol B against the Rust reference: its client to our server, our client to its server.

The binary `attested-tls-proxy` 1.x is looked for in the folder that BUILDERNET_ATTESTED_TLS_PROXY
names. Without a TEE it can only pass on what a remote service issues, which a simulation stands in
for, and it verifies evidence against Intel alone; so evidence goes in one direction here.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest
from aiohttp import ClientSession
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from multidict import CIMultiDict

from buildernet.attested_proxy.certificate import NodeCertificate
from buildernet.attested_proxy.config import ClientConfig, ServerConfig
from buildernet.attested_proxy.evidence import AttestationType
from buildernet.attested_proxy.protocol_b import LENGTH_BYTES, encode_frame
from tests.support.attested_tls import (
    MRTD,
    NO_DEMANDS,
    SimulatedIssuer,
    attested_client,
    attested_server,
    backend,
    demanding,
    node_certificate,
)
from tests.support.hub_identity import make_identity, write_identity
from tests.support.program import free_port
from tests.support.reference_proxies import (
    ATTESTED_TLS_PROXY,
    find_program,
    listens,
    quote_service,
)
from tests.support.reference_proxies import running as process

pytestmark = pytest.mark.interop
VARIANTS = ["b", "b+http/1.1", "b+h2", "auto"]
DEMANDS_NOTHING = ["--allowed-remote-attestation-type", "none"]
LARGE = b"x" * 300_000


@contextmanager
def running(verb: str, *arguments: str, log: Path | None = None) -> Iterator[int]:
    program = find_program(ATTESTED_TLS_PROXY, "attested-tls-proxy")
    if program is None:
        pytest.skip(f"{ATTESTED_TLS_PROXY} names no folder that holds attested-tls-proxy")
    port = free_port()
    command = [str(program), verb, *arguments, "--listen-addr", f"127.0.0.1:{port}"]
    with process(command, log=log):
        yield port


async def attest(report_input: bytes) -> bytes:
    """Answer as its quote service: a frame without its length."""
    evidence = await SimulatedIssuer().issue(report_input)
    return encode_frame(AttestationType.DCAP_TDX, evidence)[LENGTH_BYTES:]


async def test_their_client_talks_http2_to_our_server(tmp_path: Path) -> None:
    log = tmp_path / "log"
    flags = [*DEMANDS_NOTHING, "--allow-self-signed", "--log-debug"]
    async with (
        backend() as behind,
        attested_server(ServerConfig(target_addr=f"localhost:{behind.port}")) as run,
    ):
        flags += ["--client-attestation-type", "none"]
        with running("client", f"localhost:{run.port}", *flags, log=log) as port:
            await listens(port)
            async with ClientSession(f"http://127.0.0.1:{port}") as session:
                async with session.post("/through?a=%20b", data=b"rust") as answer:
                    assert (answer.status, await answer.read()) == (200, b"rust")
                many = [session.post("/many", data=BytesIO(LARGE)) for _ in range(20)]
                for answer in await asyncio.gather(*many):
                    assert await answer.read() == LARGE
        assert behind.requests[0][:2] == ("POST", "/through?a=%20b")
    assert "flashbots-ratls/1+h2" in log.read_text()


async def test_their_client_attests_itself_to_our_server(tmp_path: Path) -> None:
    identity = node_certificate().identity
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    key.write_bytes(identity.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    certificate.write_bytes(identity.pem)
    async with (
        backend() as behind,
        attested_server(
            ServerConfig(target_addr=f"localhost:{behind.port}"), judge=demanding()
        ) as run,
        quote_service(attest) as service,
    ):
        own = ["--client-attestation-type", "dcap-tdx", "--dev-dummy-dcap", service]
        own += ["--tls-private-key-path", str(key), "--tls-certificate-path", str(certificate)]
        flags = [*DEMANDS_NOTHING, "--allow-self-signed", *own]
        with running("client", f"localhost:{run.port}", *flags) as port:
            await listens(port)
            async with (
                ClientSession() as session,
                session.get(f"http://127.0.0.1:{port}/") as answer,
            ):
                assert answer.status == 200
        headers = CIMultiDict(behind.requests[0][2])
        assert headers["X-Flashbots-Attestation-Type"] == "dcap-tdx"
        assert MRTD.hex() in headers["X-Flashbots-Measurement"]


@pytest.mark.parametrize("protocol", VARIANTS)
async def test_our_client_talks_to_their_server(protocol: str) -> None:
    config = ClientConfig("", protocol=protocol)
    async with backend() as behind:
        target = [f"127.0.0.1:{behind.port}", "--server-attestation-type", "none"]
        with running("server", *target, *DEMANDS_NOTHING) as port:
            await listens(port)
            async with attested_client(port, judge=NO_DEMANDS, config=config) as (session, _):
                for body in (b"python", LARGE):
                    async with session.post("/through", data=BytesIO(body)) as answer:
                        assert (answer.status, await answer.read()) == (200, body)
                async with session.head("/") as answer:
                    assert answer.status == 200
            async with (
                attested_client(port, judge=demanding(), config=config) as (session, _),
                session.get("/") as answer,
            ):
                assert answer.status == 502


@pytest.mark.parametrize("protocol", VARIANTS)
async def test_our_client_knows_their_server_by_its_certificate(
    tmp_path: Path, protocol: str
) -> None:
    hub = write_identity(tmp_path, "127.0.0.1")
    other = write_identity(tmp_path / "other", "127.0.0.1")
    async with backend() as behind:
        target = [f"127.0.0.1:{behind.port}", "--server-attestation-type", "none"]
        with running("server", *target, *DEMANDS_NOTHING, *hub.server_flags) as port:
            await listens(port)
            for settings, status in (
                ({"server_certificate_sha256": hub.sha256}, 200),
                ({"tls_ca_certificate": hub.certificate}, 200),
                ({"server_certificate_sha256": other.sha256}, 502),
                ({"tls_ca_certificate": other.certificate}, 502),
                ({}, 502),
            ):
                config = replace(ClientConfig("", protocol=protocol), **settings)
                async with (
                    attested_client(port, judge=NO_DEMANDS, config=config, trusting=False) as (
                        session,
                        _,
                    ),
                    session.get("/") as answer,
                ):
                    assert answer.status == status, await answer.text()


async def test_their_client_knows_our_server_by_its_certificate(tmp_path: Path) -> None:
    authority = make_identity(authority=True)
    hub = make_identity("localhost", issuer=authority)
    file = tmp_path / "authority.pem"
    file.write_bytes(authority.pem)
    flags = [*DEMANDS_NOTHING, "--tls-ca-certificate", str(file)]
    async with (
        backend() as behind,
        attested_server(
            ServerConfig(target_addr=f"localhost:{behind.port}"), certificate=NodeCertificate(hub)
        ) as run,
    ):
        flags += ["--client-attestation-type", "none"]
        with running("client", f"localhost:{run.port}", *flags) as port:
            await listens(port)
            async with (
                ClientSession() as session,
                session.get(f"http://127.0.0.1:{port}/") as answer,
            ):
                assert answer.status == 200


@pytest.mark.parametrize("protocol", VARIANTS)
async def test_our_client_verifies_their_server(protocol: str) -> None:
    config = ClientConfig("", protocol=protocol)
    async with backend() as behind, quote_service(attest) as service:
        own = ["--server-attestation-type", "dcap-tdx", "--dev-dummy-dcap", service]
        with running("server", f"127.0.0.1:{behind.port}", *own, *DEMANDS_NOTHING) as port:
            await listens(port)
            async with (
                attested_client(port, judge=demanding(), config=config) as (session, _),
                session.get("/through") as answer,
            ):
                assert answer.status == 200
                assert answer.headers["X-Flashbots-Attestation-Type"] == "dcap-tdx"
                assert MRTD.hex() in answer.headers["X-Flashbots-Measurement"]
