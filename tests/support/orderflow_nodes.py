# SPDX-License-Identifier: MIT
"""Destinations of orders on real sockets, with the ways in which they can misbehave; and orders."""

import asyncio
import json
import ssl
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from buildernet.ethereum.address import Address
from buildernet.ethereum.signature import verify_body
from buildernet.orderflow_proxy import share
from buildernet.orderflow_proxy.order import (
    Order,
    OrderKind,
    OrderPriority,
    OrderSource,
    Replacement,
)

DEADLINE_S: Final = 20.0
"""What a test waits for happens within milliseconds; the machine may be busy."""

SIGNER: Final = Address(b"\x11" * 20)


def make_order(number: int = 0, *, size: int = 0, uuid: int | None = None, **fields: Any) -> Order:
    """An order whose parameter names it."""
    params = json.dumps({"number": number, "txs": ["0x" + "ab" * size]}).encode()
    values: dict[str, Any] = {
        "method": "eth_sendBundle",
        "kind": OrderKind.BUNDLE,
        "params": params,
        "key": number.to_bytes(16),
        "hash": number.to_bytes(32),
        "signer": SIGNER,
        "source": OrderSource.USER,
        "peer": "user-request",
        "priority": OrderPriority.MEDIUM,
        "target_block": 100,
        "replacement": None if uuid is None else Replacement(UUID(int=uuid), number),
        "received_at_us": 1_700_000_000_000_000,
    }
    return Order(**(values | fields))


@dataclass(frozen=True)
class Certificate:
    """A self-signed certificate with its key."""

    pem: str
    key_pem: str

    def server_context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
            file.write(self.pem + self.key_pem)
            file.flush()
            context.load_cert_chain(file.name)
        return context


class CertificateFiles:
    """A certificate and its key as files that a service follows."""

    def __init__(self, folder: Path) -> None:
        self.certificate, self.key = folder / "chain.pem", folder / "key.pem"

    def put(self, made: Certificate) -> None:
        """Replace both, each at once."""
        for path, text in ((self.certificate, made.pem), (self.key, made.key_pem)):
            fresh = path.with_suffix(".new")
            fresh.write_text(text)
            fresh.replace(path)


def make_certificate(name: str = "node") -> Certificate:
    """Return one that is good for this machine's loopback, too."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False
        )
        .sign(key, SHA256())
    )
    return Certificate(
        certificate.public_bytes(Encoding.PEM).decode(),
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
    )


def client_der(certificate: Certificate) -> bytes:
    """What a client sees of it."""
    return x509.load_pem_x509_certificate(certificate.pem.encode()).public_bytes(Encoding.DER)


Answer = Callable[[web.Request], Awaitable[web.Response | None]]


@dataclass
class Node:
    """A destination: remembers what it took, in order."""

    sharing: bool = True
    """Whether it knows POST /orderflow/share."""
    numbers: list[int] = field(default_factory=list)
    methods: list[str] = field(default_factory=list)
    requests: int = 0
    batches: list[int] = field(default_factory=list)
    connections: set[object] = field(default_factory=set)
    answer: Answer | None = None
    """Asked first about every request; None from it goes on as usual."""
    signers: set[Address] = field(default_factory=set)
    headers: list[dict[str, str]] = field(default_factory=list)
    batch_headers: list[dict[str, str]] = field(default_factory=list)
    port: int = 0

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.requests += 1
        self.connections.add(request.transport)
        body = await request.read()
        if self.answer is not None and (answer := await self.answer(request)) is not None:
            return answer
        if request.method == "GET":  # health
            return web.Response(text="OK")
        if request.path == share.PATH:
            if not self.sharing:
                return web.Response(status=404, text="no such path")
            self.batch_headers.append(dict(request.headers))
            return self._share(body)
        self.headers.append(dict(request.headers))
        self.signers.add(verify_body(request.headers.get("X-Flashbots-Signature"), body))
        envelope = json.loads(body)
        self._take(envelope["method"], envelope["params"][0])
        self.batches.append(1)
        return web.json_response({"jsonrpc": "2.0", "id": envelope["id"], "result": None})

    def _share(self, body: bytes) -> web.Response:
        request = share.parse_request(body)
        self.signers.add(request.source)
        for entry in request.entries:
            self._take(entry.method, json.loads(bytes(entry.params)))
        self.batches.append(len(request.entries))
        return web.Response(body=share.encode_response(now_s=request.timestamp))

    def _take(self, method: str, params: Any) -> None:
        self.methods.append(method)
        self.numbers.append(params["number"])


@asynccontextmanager
async def running(
    node: Node, *, certificate: Certificate | None = None, port: int = 0
) -> AsyncIterator[Node]:
    """Let a node listen."""
    app = web.Application(client_max_size=64 << 20)
    app.router.add_route("*", "/{path:.*}", node.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    context = None if certificate is None else certificate.server_context()
    site = web.TCPSite(runner, "127.0.0.1", port, ssl_context=context, reuse_address=True)
    await site.start()
    node.port = runner.addresses[0][1]
    try:
        yield node
    finally:
        await runner.cleanup()


@asynccontextmanager
async def silent() -> AsyncIterator[tuple[int, list[int]]]:
    """Accept connections, read nothing, never answer; yields the port and the number accepted."""
    accepted = [0]
    writers: list[asyncio.StreamWriter] = []

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepted[0] += 1
        writers.append(writer)
        reader._transport.pause_reading()  # type: ignore[attr-defined]

    server = await asyncio.start_server(accept, "127.0.0.1", 0, limit=1024)
    try:
        yield server.sockets[0].getsockname()[1], accepted
    finally:
        server.close()
        for writer in writers:
            writer.transport.abort()
        with suppress(OSError):
            await server.wait_closed()


async def until(condition: Callable[[], bool], what: str = "condition") -> None:
    """Wait for something that another task brings about."""
    loop = asyncio.get_running_loop()
    end = loop.time() + DEADLINE_S
    while not condition():
        assert loop.time() < end, f"not within {DEADLINE_S} s: {what}"
        await asyncio.sleep(0.002)


def write_peers(path: Path, peers: list[dict[str, Any]]) -> Path:
    path.write_text(json.dumps(peers))
    return path
