# SPDX-License-Identifier: MIT
"""One GET with every limit."""

from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from buildernet.net import fetch
from buildernet.net.errors import FetchError
from buildernet.net.fetch import HttpFetcher


@pytest.fixture
async def server() -> AsyncIterator[TestServer]:
    async def answer(request: web.Request) -> web.Response:
        if request.path == "/moved":
            raise web.HTTPFound("/file")
        if request.path == "/missing":
            raise web.HTTPNotFound
        return web.Response(body=b"x" * 100, headers={"Chain": "pem"})

    app = web.Application()
    app.router.add_get("/{name}", answer)
    running = TestServer(app)
    await running.start_server()
    yield running
    await running.close()


async def get(url: object, *, limit: int = 100) -> tuple[bytes, str | None]:
    async with aiohttp.ClientSession() as session:
        body, headers = await HttpFetcher(session)(str(url), limit=limit)
        return body, headers.get("chain")


async def test_body_and_headers_are_returned(server: TestServer) -> None:
    assert await get(server.make_url("/file")) == (b"x" * 100, "pem")


@pytest.mark.parametrize("path", ["/moved", "/missing"])
async def test_other_statuses_are_refused(server: TestServer, path: str) -> None:
    with pytest.raises(FetchError, match="status"):
        await get(server.make_url(path))


async def test_long_answers_are_refused(server: TestServer) -> None:
    with pytest.raises(FetchError, match="more than 99 bytes"):
        await get(server.make_url("/file"), limit=99)


@pytest.mark.parametrize("url", ["http://example.com/", "ftp://localhost/", "file:///etc/passwd"])
async def test_unsafe_urls_are_refused(url: str) -> None:
    with pytest.raises(FetchError, match=r"only https|is no https or http URL"):
        await get(url)


async def test_no_answer_is_ours() -> None:
    with pytest.raises(FetchError):
        await get("http://127.0.0.1:1/")


async def test_silence_ends(server: TestServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "TIMEOUT_SECONDS", 1e-6)
    with pytest.raises(FetchError):
        await get(server.make_url("/file"))
