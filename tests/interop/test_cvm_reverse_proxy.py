# SPDX-License-Identifier: MIT
"""Protocol A against the Go reference: its client to our server, our client to its server.

The binaries `proxy-client` and `proxy-server` of flashbots/cvm-reverse-proxy are looked for in the
folder that BUILDERNET_CVM_REVERSE_PROXY names. They are not built here: their module is not on
every Go module proxy. Without a TEE the reference can only issue quotes of a remote service, which
a simulation stands in for, and verifies them against Intel alone.
"""

from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from pathlib import Path

import pytest
from aiohttp import ClientSession

from buildernet.attested_proxy import documents
from buildernet.attested_proxy.config import ClientConfig, ServerConfig
from buildernet.attested_proxy.evidence import AttestationType
from tests.support.attested_tls import (
    MRTD,
    NO_DEMANDS,
    SimulatedIssuer,
    attested_client,
    attested_server,
    backend,
    demanding,
)
from tests.support.minted_chain import Domain, shared_chain
from tests.support.program import free_port
from tests.support.reference_proxies import (
    CVM_REVERSE_PROXY,
    find_program,
    listens,
    quote_service,
)
from tests.support.reference_proxies import running as process

pytestmark = pytest.mark.interop


@contextmanager
def running(name: str, *arguments: str, log: Path | None = None) -> Iterator[int]:
    program = find_program(CVM_REVERSE_PROXY, name)
    if program is None:
        pytest.skip(f"{CVM_REVERSE_PROXY} names no folder that holds its {name}")
    port = free_port()
    with process([str(program), "--listen-addr", f"127.0.0.1:{port}", *arguments], log=log):
        yield port


def quotes() -> AbstractAsyncContextManager[str]:
    issuer = SimulatedIssuer()
    return quote_service(lambda data: issuer.issue(data.ljust(64, b"\0")))


@pytest.mark.parametrize("attested", [False, True])
async def test_their_client_talks_to_our_server(attested: bool) -> None:
    issuer = SimulatedIssuer()
    async with (
        backend() as behind,
        attested_server(
            ServerConfig(target_addr=f"localhost:{behind.port}"),
            issuer=issuer if attested else None,
        ) as run,
    ):
        with running("proxy-client", "--target-addr", f"https://127.0.0.1:{run.port}") as port:
            await listens(port)
            async with (
                ClientSession() as session,
                session.post(f"http://127.0.0.1:{port}/through", data=b"go") as answer,
            ):
                assert (answer.status, await answer.read()) == (200, b"go")
        assert behind.requests[0][1] == "/through"
        assert len(issuer.issued) == (1 if attested else 0)


async def test_their_client_attests_itself_to_our_server() -> None:
    async with (
        backend() as behind,
        quotes() as service,
        attested_server(
            ServerConfig(target_addr=f"localhost:{behind.port}"),
            issuer=SimulatedIssuer(),
            judge=demanding(),
        ) as run,
    ):
        arguments = ["--client-attestation-type", "dummy", "--dev-dummy-dcap", service]
        target = f"https://127.0.0.1:{run.port}"
        with running("proxy-client", "--target-addr", target, *arguments) as port:
            await listens(port)
            async with (
                ClientSession() as session,
                session.get(f"http://127.0.0.1:{port}/") as answer,
            ):
                assert answer.status == 200
        [(_, _, headers, _)] = behind.requests
        assert headers["X-Flashbots-Attestation-Type"] == "qemu-tdx"
        assert MRTD.hex() in headers["X-Flashbots-Measurement"]


async def test_their_client_without_evidence_is_refused() -> None:
    async with (
        backend() as behind,
        attested_server(
            ServerConfig(target_addr=f"localhost:{behind.port}"), judge=demanding()
        ) as run,
    ):
        with running("proxy-client", "--target-addr", f"https://127.0.0.1:{run.port}") as port:
            await listens(port)
            async with (
                ClientSession() as session,
                session.get(f"http://127.0.0.1:{port}/") as answer,
            ):
                assert answer.status == 502
        assert behind.requests == []


@pytest.mark.parametrize("protocol", ["a", "auto"])
async def test_our_client_verifies_their_server(protocol: str) -> None:
    async with backend() as behind, quotes() as service:
        arguments = ["--server-attestation-type", "dummy", "--dev-dummy-dcap", service]
        target = f"http://127.0.0.1:{behind.port}"
        with running("proxy-server", "--target-addr", target, *arguments) as port:
            await listens(port)
            async with (
                attested_client(
                    port, judge=demanding(), config=ClientConfig("", protocol=protocol)
                ) as (session, _),
                session.post("/through", data=b"python") as answer,
            ):
                assert (answer.status, await answer.read()) == (200, b"python")
                assert answer.headers["X-Flashbots-Attestation-Type"] == "qemu-tdx"


async def test_our_client_talks_to_their_unattested_server() -> None:
    async with backend() as behind:
        arguments = ["--server-attestation-type", "none"]
        target = f"http://127.0.0.1:{behind.port}"
        with running("proxy-server", "--target-addr", target, *arguments) as port:
            await listens(port)
            for judge, status in ((NO_DEMANDS, 200), (demanding(), 502)):
                async with (
                    attested_client(port, judge=judge, config=ClientConfig("", protocol="a")) as (
                        session,
                        _,
                    ),
                    session.get("/") as answer,
                ):
                    assert answer.status == status


class MintedIssuer:
    """Gives well-formed quotes under a root that the reference does not believe."""

    attestation_type = AttestationType.DCAP_TDX

    async def issue(self, report_data: bytes) -> bytes:
        return shared_chain().quote(Domain(report_data=report_data))

    async def issue_document(self, user_data: bytes, extra_data: bytes) -> bytes:
        quote = await self.issue(documents.report_data(extra_data))
        return documents.encode_quote(quote, user_data=user_data)


async def test_their_server_reads_our_evidence(tmp_path: Path) -> None:
    """It finds extension, document and quote, and refuses the simulated chain, not the form."""
    measurements, log = tmp_path / "measurements.json", tmp_path / "log"
    measurements.write_text(
        '[{"measurement_id":"x","attestation_type":"dcap-tdx",'
        '"measurements":{"0":{"expected":"' + MRTD.hex() + '"}}}]'
    )
    async with backend() as behind:
        arguments = ["--server-attestation-type", "none", "--client-measurements"]
        target = ["--target-addr", f"http://127.0.0.1:{behind.port}"]
        with running("proxy-server", *target, *arguments, str(measurements), log=log) as port:
            await listens(port)
            async with (
                attested_client(
                    port,
                    judge=NO_DEMANDS,
                    issuer=MintedIssuer(),
                    config=ClientConfig("", protocol="a"),
                ) as (session, _),
                session.get("/") as answer,
            ):
                assert answer.status == 502
        assert behind.requests == []
    assert "could not find CA from PCK certificate" in log.read_text()
