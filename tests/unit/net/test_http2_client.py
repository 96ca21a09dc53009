# SPDX-License-Identifier: MIT
"""HTTP/2 in memory, our client and our server joined."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from aiohttp import web
from hypothesis import given, settings
from hypothesis import strategies as st
from multidict import CIMultiDict

from buildernet.net.errors import ExchangeError
from buildernet.net.exchange import Outgoing
from buildernet.net.http2_client import Http2Client
from buildernet.net.http2_server import Http2ServerConnection
from tests.support.wire import Wire

DEADLINE_S = 10.0


async def echo(request: web.BaseRequest) -> web.StreamResponse:
    return web.Response(body=await request.read())


async def forever(_request: web.BaseRequest) -> web.StreamResponse:
    await asyncio.Event().wait()
    raise AssertionError("never set")


async def joined(handler: Any) -> tuple[Http2Client, Http2ServerConnection, asyncio.Task[None]]:
    """A client and a server, and what carries bytes between them."""
    client_wire, server_wire = Wire(), Wire()
    server = Http2ServerConnection(web.Server(handler), read_timeout_s=DEADLINE_S)
    client = Http2Client(authority="node", scheme="https", idle_s=60)
    client.connection_made(client_wire)
    server.connection_made(server_wire)

    async def carry() -> None:
        while True:
            for wire, other in ((client_wire, server), (server_wire, client)):
                data, wire.sent = bytes(wire.sent), bytearray()
                if data:
                    other.data_received(data)
            await asyncio.sleep(0)

    return client, server, asyncio.create_task(carry())


async def test_many_requests_share_a_connection() -> None:
    client, server, carrier = await joined(echo)

    async def post(size: int) -> int:
        async def pieces() -> AsyncIterator[bytes]:
            for _ in range(4):
                yield bytes(size)

        outgoing = Outgoing("POST", "/x", CIMultiDict({"Host": "node"}), pieces())
        async with client.request(outgoing) as answer:
            assert answer.status == 200
            return len(await answer.content.read())

    async with asyncio.timeout(DEADLINE_S):
        sizes = [1000 * number for number in range(1, 151)]
        got = await asyncio.gather(*(post(size) for size in sizes))
    assert got == [4 * size for size in sizes]
    assert client.streams == server.streams == {}
    carrier.cancel()
    server.connection_lost(None)
    client.connection_lost(None)


async def test_a_lost_connection_ends_every_request() -> None:
    client, server, carrier = await joined(forever)

    async def get() -> None:
        async with client.request(Outgoing("GET", "/", CIMultiDict())):
            raise AssertionError("an answer")

    waiting = [asyncio.create_task(get()) for _ in range(3)]
    await asyncio.sleep(0)
    client.connection_lost(ConnectionResetError("gone"))
    for result in await asyncio.gather(*waiting, return_exceptions=True):
        assert isinstance(result, ExchangeError)
    assert not client.usable
    carrier.cancel()
    server.connection_lost(None)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
def test_no_bytes_break_the_client(data: bytes) -> None:
    async def run() -> None:
        client = Http2Client(authority="node", scheme="https", idle_s=60)
        client.connection_made(Wire())
        client.data_received(data)
        client.connection_lost(None)

    asyncio.run(run())
