# SPDX-License-Identifier: MIT
"""A real HAProxy with the image's limits per address: what is over one is refused, others are not.

docs/services/haproxy.md, "Limits". Every client has an address of its own in 127.0.0.0/8.
"""

import asyncio
import re
import shutil
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pytest

from buildernet.node import haproxy as admin
from tests.support.haproxy import CONFIG, Front, haproxy
from tests.support.orderflow_nodes import Node, make_certificate, running
from tests.support.program import client_context

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(shutil.which("haproxy") is None, reason="needs haproxy"),
]

CONNECTED = (ConnectionError, ssl.SSLError, asyncio.IncompleteReadError)
"""What a client sees of a connection that is cut."""

CHUNK = bytes(1 << 20)
BODY_BYTES = 50 << 20


class Answer(NamedTuple):
    """Status, and when to come back; 0 when the connection was cut."""

    status: int
    retry_after: str = ""


SERVED = Answer(200)
SOON, LATER, CUT = Answer(429, "10"), Answer(429, "60"), Answer(0)

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(frozen=True)
class Client:
    """Somebody at an address."""

    front: Front
    address: str

    async def connect(self, port: int, *, tls: bool = True) -> Streams:
        return await asyncio.open_connection(
            "127.0.0.1",
            port,
            ssl=client_context() if tls else None,
            local_addr=(self.address, 0),
        )

    async def ask(self, port: int | None = None) -> Answer:
        """Ask for /livez over a new connection: HAProxy answers users, the backend nodes."""
        try:
            streams = await self.connect(port or self.front.user)
            try:
                return await request(streams)
            finally:
                streams[1].transport.abort()
        except CONNECTED:
            return CUT

    async def knock(self, port: int, count: int) -> None:
        """Connect and leave, so often."""
        for _ in range(count):
            with suppress(ConnectionError):
                _, writer = await self.connect(port, tls=False)
                writer.transport.abort()

    @asynccontextmanager
    async def holding(
        self, port: int, *, table: str = "per_address"
    ) -> AsyncIterator[Callable[[int], Awaitable[None]]]:
        """Give what opens connections until there are so many; all end with the context."""
        held: list[Streams] = []

        async def hold(count: int) -> None:
            await self.settle(len(held), table=table)
            while len(held) < count:
                held.append(await self.connect(port))

        try:
            yield hold
        finally:
            for _, writer in held:
                writer.transport.abort()

    async def counter(self, name: str, *, table: str = "per_address") -> int:
        """Return what HAProxy has counted about the address."""
        command = f"show table {table} key ::ffff:{self.address}"
        shown = await asyncio.to_thread(admin.ask, self.front.admin_socket, command)
        found = re.search(rf"{name}(?:\(\d+\))?=(\d+)", shown)
        return int(found[1]) if found else 0

    async def settle(self, open_: int = 0, *, table: str = "per_address") -> None:
        """Wait until HAProxy has seen that all other connections are closed."""
        async with asyncio.timeout(20):
            while await self.counter("conn_cur", table=table) != open_:  # noqa: ASYNC110
                await asyncio.sleep(0.01)


@dataclass(frozen=True)
class Clients:
    """Three who share nothing but the door."""

    front: Front
    normal: Client
    privileged: Client
    other: Client


async def request(
    streams: Streams, *, method: str = "GET", path: str = "/livez", body_bytes: int = 0
) -> Answer:
    """Send a request over a connection and read the answer."""
    reader, writer = streams
    head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {body_bytes}\r\n\r\n"
    writer.write(head.encode())
    for _ in range(body_bytes // len(CHUNK)):
        writer.write(CHUNK)
        await writer.drain()
    return await answer_of(reader)


async def answer_of(reader: asyncio.StreamReader) -> Answer:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    fields = dict(line.split(": ", 1) for line in head.splitlines()[1:] if line)
    await reader.readexactly(int(fields["content-length"]))
    return Answer(int(head.split()[1]), fields.get("retry-after", ""))


async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Take requests with bodies of any size, as fast as they come."""
    with suppress(*CONNECTED):
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            found = re.search(r"content-length: (\d+)", head)
            left = int(found[1]) if found else 0
            while left:
                data = await reader.read(min(left, len(CHUNK)))
                if not data:
                    return
                left -= len(data)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    writer.transport.abort()


@pytest.fixture
async def clients(tmp_path: Path) -> AsyncIterator[Clients]:
    async with AsyncExitStack() as stack:
        users = await asyncio.start_server(swallow, "127.0.0.1", 0, limit=len(CHUNK))
        stack.callback(users.close)
        peers = await stack.enter_async_context(running(Node()))
        port = users.sockets[0].getsockname()[1]
        front = await stack.enter_async_context(
            haproxy(tmp_path, make_certificate(), users=port, peers=peers.port)
        )
        made = Clients(front, *(Client(front, f"127.0.0.{number}") for number in (2, 3, 4)))
        listed = f"add acl {CONFIG.parent}/haproxy-privileged.lst {made.privileged.address}"
        await asyncio.to_thread(admin.ask, front.admin_socket, listed)
        yield made


KINDS = pytest.mark.parametrize(("kind", "factor"), [("normal", 1), ("privileged", 10)])


@KINDS
async def test_new_connections(clients: Clients, kind: str, factor: int) -> None:
    client: Client = getattr(clients, kind)
    for knocked_to, wanted in (
        (95 * factor, SERVED),
        (100 * factor + 1, SOON),
        (300 * factor + 1, CUT),
    ):
        while (rate := await client.counter("conn_rate")) < knocked_to:
            await client.knock(clients.front.user, min(knocked_to - rate, 50))
            await client.settle()
        assert await client.ask() == wanted, knocked_to
    assert await clients.other.ask() == SERVED


@KINDS
async def test_connections_at_once(clients: Clients, kind: str, factor: int) -> None:
    client: Client = getattr(clients, kind)
    async with client.holding(clients.front.user) as hold:
        await hold(10 * factor - 1)
        assert await client.ask() == SERVED
        await hold(10 * factor)
        assert await client.ask() == SOON
        if kind == "normal":
            await hold(30)
            assert await client.ask() == CUT
        assert await clients.other.ask() == SERVED
    await client.settle()
    assert await client.ask() == SERVED


@KINDS
async def test_requests(clients: Clients, kind: str, factor: int) -> None:
    client: Client = getattr(clients, kind)
    reader, writer = await client.connect(clients.front.user)
    answers: list[Answer] = []
    try:
        while SOON not in answers:
            writer.write(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n" * 100)
            answers += [await answer_of(reader) for _ in range(100)]
            # The rate is a mean over the last 10 s: what came first may have faded by now.
            assert len(answers) <= 1500 * factor
    finally:
        writer.transport.abort()
    served = answers.index(SOON)
    assert served >= 1000 * factor
    assert set(answers[:served]) == {SERVED}
    assert set(answers[served:]) == {SOON}
    assert await client.ask() == SOON
    assert await clients.other.ask() == SERVED


async def test_bytes(clients: Clients) -> None:
    limit = 600_000_000
    for client, beyond in ((clients.normal, LATER), (clients.privileged, SERVED)):
        streams = await client.connect(clients.front.user)
        try:
            with suppress(*CONNECTED):  # the one that goes beyond may be refused on its way
                while (sent := await client.counter("bytes_in_rate")) <= limit:
                    answer = await request(streams, method="POST", path="/", body_bytes=BODY_BYTES)
                    assert answer == SERVED or sent > limit - BODY_BYTES
        finally:
            streams[1].transport.abort()
        assert await client.counter("bytes_in_rate") > limit
        assert await client.ask() == beyond
    assert await clients.other.ask() == SERVED
    # Nobody sends 3 GB here: HAProxy is told that they came.
    counted = f"set table per_address key ::ffff:{clients.privileged.address} data.bytes_in_rate"
    await asyncio.to_thread(admin.ask, clients.front.admin_socket, f"{counted} 3000000001")
    assert await clients.privileged.ask() == LATER
    assert await clients.other.ask() == SERVED


async def test_nodes_at_once(clients: Clients) -> None:
    port = clients.front.system
    async with clients.normal.holding(port, table="per_peer") as hold:
        await hold(255)
        assert await clients.normal.ask(port) == SERVED
        await hold(256)
        assert await clients.normal.ask(port) == CUT
        assert await clients.other.ask(port) == SERVED
        assert await clients.normal.ask() == SERVED  # users are counted apart
    await clients.normal.settle(table="per_peer")
    assert await clients.normal.ask(port) == SERVED


async def test_new_connections_of_nodes(clients: Clients) -> None:
    port, client = clients.front.system, clients.normal
    for knocked_to, wanted in ((950, SERVED), (1001, CUT)):
        while (rate := await client.counter("conn_rate", table="per_peer")) < knocked_to:
            await client.knock(port, min(knocked_to - rate, 50))
            await client.settle(table="per_peer")
        assert await client.ask(port) == wanted, knocked_to
    assert await clients.other.ask(port) == SERVED
