# SPDX-License-Identifier: MIT
"""Answers that a proxy must not interpret: redirects, compressed bodies, HEAD, streams, cuts."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import ClientSession, web

from buildernet.attested_proxy.config import ClientConfig, Limits, ServerConfig
from tests.support.attested_tls import SimulatedIssuer, attested_client, attested_server, demanding

DEADLINE_S = 10.0


@pytest.fixture(params=["a", "b+h2"])
def protocol(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@asynccontextmanager
async def through(app: web.Application, protocol: str) -> AsyncIterator[ClientSession]:
    """Serve an application behind both proxies."""
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        target = f"http://127.0.0.1:{runner.addresses[0][1]}/base"
        async with (
            attested_server(ServerConfig(target_addr=target), issuer=SimulatedIssuer()) as run,
            attested_client(
                run.port, judge=demanding(), config=ClientConfig("", protocol=protocol)
            ) as (session, _),
        ):
            yield session
    finally:
        await runner.cleanup()


def answering(handler: object) -> web.Application:
    app = web.Application()
    app.router.add_route("*", "/base/{path:.*}", handler)  # type: ignore[arg-type]  # a handler
    return app


async def test_a_target_that_does_not_answer_in_time_is_a_504() -> None:
    async def handle(_request: web.Request) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError("never set")

    runner = web.AppRunner(answering(handle), shutdown_timeout=0, handler_cancellation=True)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        target = f"http://127.0.0.1:{runner.addresses[0][1]}/base"
        config = ServerConfig(target_addr=target, limits=Limits(request_timeout_s=1))
        async with (
            asyncio.timeout(DEADLINE_S),
            attested_server(config) as run,
            ClientSession(f"https://127.0.0.1:{run.port}") as session,
            session.post("/x", data=b"order", ssl=False) as answer,
        ):
            assert answer.status == 504
            assert "target" in (await answer.json())["message"]
    finally:
        await runner.cleanup()


async def test_redirects_and_cookies_pass(protocol: str) -> None:
    async def handle(_request: web.Request) -> web.Response:
        answer = web.Response(status=302, headers={"Location": "/elsewhere"})
        answer.headers.add("Set-Cookie", "a=1")
        answer.headers.add("Set-Cookie", "b=2")
        return answer

    async with (
        through(answering(handle), protocol) as session,
        session.get("/x", allow_redirects=False) as answer,
    ):
        assert (answer.status, answer.headers["Location"]) == (302, "/elsewhere")
        assert answer.headers.getall("Set-Cookie") == ["a=1", "b=2"]


async def test_compressed_bodies_pass_as_they_are(protocol: str) -> None:
    packed = gzip.compress(b"measured" * 100)

    async def handle(_request: web.Request) -> web.Response:
        return web.Response(body=packed, headers={"Content-Encoding": "gzip"})

    async with through(answering(handle), protocol) as session, session.get("/x") as answer:
        assert answer.headers["Content-Length"] == str(len(packed))
        assert await answer.read() == b"measured" * 100


@pytest.mark.parametrize("status", [200, 204, 304, 404, 500])
async def test_statuses_and_head_pass(status: int, protocol: str) -> None:
    async def handle(_request: web.Request) -> web.Response:
        return web.Response(status=status, headers={"X-Seen": "1"})

    async with through(answering(handle), protocol) as session:
        for method in ("GET", "HEAD"):
            async with asyncio.timeout(DEADLINE_S), session.request(method, "/x") as answer:
                assert (answer.status, answer.headers["X-Seen"]) == (status, "1")
                assert await answer.read() == b""


async def test_streams_arrive_piece_by_piece(protocol: str) -> None:
    taken = asyncio.Event()

    async def handle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"first")
        await taken.wait()
        await response.write(b"second")
        return response

    async with through(answering(handle), protocol) as session, session.get("/x") as answer:
        async with asyncio.timeout(DEADLINE_S):
            assert await answer.content.readexactly(5) == b"first"
            taken.set()
            assert await answer.content.read() == b"second"


@pytest.mark.parametrize("chunked", [False, True])
async def test_answer_that_breaks_off_is_not_taken_for_whole(chunked: bool, protocol: str) -> None:
    async def handle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        if not chunked:
            response.content_length = 1000
        await response.prepare(request)
        await response.write(b"part")
        assert request.transport is not None
        request.transport.abort()
        return response

    async with through(answering(handle), protocol) as session, asyncio.timeout(DEADLINE_S):
        with pytest.raises(aiohttp.ClientError):
            async with session.post("/x") as answer:
                await answer.read()
