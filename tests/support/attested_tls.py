# SPDX-License-Identifier: MIT
"""Attested servers and clients in this process, with evidence that only they believe."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from aiohttp import ClientSession, web

from buildernet.attestation.registers import Digest, Digest48, Register
from buildernet.attested_proxy import documents
from buildernet.attested_proxy.app import Deployment, build_client, build_server
from buildernet.attested_proxy.certificate import Identity, NodeCertificate, make_identity
from buildernet.attested_proxy.config import ClientConfig, ServerConfig
from buildernet.attested_proxy.evidence import AttestationType, Issuer
from buildernet.attested_proxy.judge import Judge
from buildernet.attested_proxy.verification import ProvenClaims
from buildernet.base.errors import BuildernetError
from buildernet.net.address import ListenAddress
from buildernet.net.server import listening

MRTD = b"\x10" * 48
RTMR1 = b"\x20" * 48


@dataclass
class SimulatedIssuer:
    """Writes the report data and two registers down; signs nothing."""

    attestation_type: AttestationType = AttestationType.DCAP_TDX
    mrtd: bytes = MRTD
    issued: list[bytes] = field(default_factory=list)
    blocked: asyncio.Event | None = None
    """Nothing is issued until it is set."""
    asked: asyncio.Event = field(default_factory=asyncio.Event)

    async def issue(self, report_data: bytes) -> bytes:
        self.asked.set()
        if self.blocked is not None:
            await self.blocked.wait()
        self.issued.append(report_data)
        registers = {"mrtd": self.mrtd.hex(), "rtmr1": RTMR1.hex()}
        return json.dumps({"report_data": report_data.hex(), "registers": registers}).encode()

    async def issue_document(self, user_data: bytes, extra_data: bytes) -> bytes:
        evidence = await self.issue(documents.report_data(extra_data))
        return documents.encode_quote(evidence, user_data=user_data)


class SimulatedRefusalError(BuildernetError):
    """The simulated evidence does not fit."""


@dataclass
class SimulatedValidator:
    """Believes whatever a `SimulatedIssuer` wrote, if it is bound to the right report data."""

    mrtd: bytes | None = MRTD
    seen: list[AttestationType] = field(default_factory=list)

    def validate(self, kind: AttestationType, evidence: bytes, report_data: bytes) -> ProvenClaims:
        self.seen.append(kind)
        try:
            document = json.loads(evidence)
        except ValueError as exc:
            raise SimulatedRefusalError("not simulated evidence") from exc
        if document["report_data"] != report_data.hex():
            raise SimulatedRefusalError("report data differs")
        registers: Mapping[Register, Digest] = {
            Register(name): Digest48.parse(text) for name, text in document["registers"].items()
        }
        if self.mrtd is not None and registers[Register.MRTD] != self.mrtd:
            raise SimulatedRefusalError("mrtd differs")
        return ProvenClaims(registers, "simulated")

    def validate_document(
        self, kind: AttestationType, document: bytes, *, user_data: bytes, extra_data: bytes
    ) -> ProvenClaims:
        evidence = documents.parse_quote(document, user_data=user_data)
        return self.validate(kind, evidence, documents.report_data(extra_data))


NO_DEMANDS = Judge(None, frozenset({AttestationType.NONE}))


def demanding(validator: SimulatedValidator | None = None) -> Judge:
    """Return a judge that takes TDX evidence alone."""
    return Judge(validator or SimulatedValidator(), frozenset({AttestationType.DCAP_TDX}))


def node_certificate() -> NodeCertificate:
    """Return a node certificate that stays in memory."""
    return NodeCertificate(make_identity(["localhost", "127.0.0.1"], now=datetime.now(UTC)))


@dataclass
class Backend:
    """What lies behind a server: answers with what it got."""

    port: int
    requests: list[tuple[str, str, dict[str, str], bytes]]


@asynccontextmanager
async def backend(*, headers: Mapping[str, str] | None = None) -> AsyncIterator[Backend]:
    """Run a plain HTTP server that repeats every body."""
    seen: list[tuple[str, str, dict[str, str], bytes]] = []

    async def handle(request: web.Request) -> web.Response:
        body = await request.read()
        seen.append((request.method, request.raw_path, dict(request.headers), body))
        return web.Response(body=body or b"hello", headers=headers)

    app = web.Application(client_max_size=1 << 30)
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield Backend(runner.addresses[0][1], seen)
    finally:
        await runner.cleanup()


@dataclass
class Running:
    """A proxy that listens."""

    port: int
    deployment: Deployment
    certificate: NodeCertificate | None = None

    def metric(self, name: str, **labels: str) -> float:
        """Return a counter's value; 0 before it was ever counted."""
        from buildernet.net.metrics import METRICS

        registry = self.deployment.app[METRICS].registry
        return registry.get_sample_value(name, labels) or 0.0


LOOPBACK = ListenAddress("127.0.0.1", 0)


@asynccontextmanager
async def attested_server(
    config: ServerConfig,
    *,
    issuer: Issuer | None = None,
    judge: Judge = NO_DEMANDS,
    certificate: NodeCertificate | None = None,
) -> AsyncIterator[Running]:
    """Run an attested server on loopback."""
    certificate = certificate or node_certificate()
    deployment = build_server(config, judge=judge, issuer=issuer, certificate=certificate)
    async with listening(deployment.app, LOOPBACK, front=deployment.front) as bound:
        yield Running(bound.port, deployment, certificate)


@asynccontextmanager
async def attested_client(
    port: int,
    *,
    judge: Judge,
    issuer: Issuer | None = None,
    identity: Identity | None = None,
    config: ClientConfig | None = None,
    host: str = "127.0.0.1",
    trusting: bool = True,
) -> AsyncIterator[tuple[ClientSession, Running]]:
    """Run a client proxy to a port on loopback; yields a session that talks to it.

    Where the judge demands no evidence, any server is taken unless it is to be known
    (`trusting=False`).
    """
    config = replace(
        config or ClientConfig(""),
        target_addr=f"https://{host}:{port}",
        dangerously_accept_unauthenticated_server=trusting and not judge.demands_evidence,
    )
    deployment = build_client(config, judge=judge, issuer=issuer, identity=identity)
    async with (
        listening(deployment.app, LOOPBACK, front=deployment.front) as bound,
        ClientSession(f"http://127.0.0.1:{bound.port}") as session,
    ):
        yield session, Running(bound.port, deployment)
