# SPDX-License-Identifier: MIT
"""How a service ends: its listeners together, within one deadline; and why, when a part of it dies.

The auditors' receiver took 17.8 s to stop with one slow upload on each side, promised are 10.
"""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import ClientError, ClientSession, web

from buildernet.archive.config import Access, ArchiveConfig, General
from buildernet.archive.running import run_archive
from buildernet.base.errors import BuildernetError
from buildernet.net.address import ListenAddress
from buildernet.net.connections import ConnectionGuard
from buildernet.net.errors import ListenError
from buildernet.net.limits import ServerLimits
from buildernet.net.metrics import HttpMetrics
from buildernet.net.server import Site, bare_application, listening, serve_sites
from tests.support.program import free_port

STOP_S = 2.0
BUSY_S = 0.8
"""What a busy machine adds."""


def application(started: asyncio.Queue[str], *, ends: bool = True) -> web.Application:
    """An application that reads a body, or one whose handler does not care that it must end."""

    async def handle(request: web.Request) -> web.Response:
        started.put_nowait(request.path)
        if ends:
            return web.Response(body=await request.read())
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            started.put_nowait("cancelled")
            raise
        return web.Response()

    app = bare_application(limits=ServerLimits(), metrics=HttpMetrics("test"))
    app.router.add_post("/", handle)
    return app


async def slow_body() -> AsyncIterator[bytes]:
    """A body of which nothing more comes."""
    yield b"x"
    await asyncio.sleep(60)


@asynccontextmanager
async def serving(*apps: web.Application) -> AsyncIterator[tuple[list[str], asyncio.Task[None]]]:
    """Several applications as a service has them; yields their URLs and the service."""
    addresses = [ListenAddress("127.0.0.1", free_port()) for _ in apps]
    sites = [Site(app, address) for app, address in zip(apps, addresses, strict=True)]
    service = asyncio.create_task(serve_sites(sites, stop_timeout_s=STOP_S))
    try:
        yield [f"http://{address}/" for address in addresses], service
    finally:
        service.cancel()
        await asyncio.gather(service, return_exceptions=True)


async def post_when_up(session: ClientSession, url: str) -> None:
    """Post until somebody listens; what comes of it does not matter."""
    while True:
        try:
            async with session.post(url, data=slow_body()) as answer:
                await answer.read()
        except ConnectionRefusedError:
            await asyncio.sleep(0.01)
        except (ClientError, OSError) as exc:
            if not isinstance(exc.__cause__ or exc, ConnectionRefusedError):
                return
            await asyncio.sleep(0.01)
        else:
            return


@pytest.mark.parametrize("ends", [True, False], ids=["slow bodies", "deaf handlers"])
async def test_slow_requests_on_both_listeners_share_one_deadline(ends):
    started: asyncio.Queue[str] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    async with (
        serving(application(started, ends=ends), application(started, ends=ends)) as (
            urls,
            service,
        ),
        ClientSession() as session,
        asyncio.timeout(20),
    ):
        posts = [asyncio.create_task(post_when_up(session, url)) for url in urls]
        for _ in urls:
            await started.get()
        began = loop.time()
        signal.raise_signal(signal.SIGTERM)
        await service
        assert loop.time() - began < STOP_S + BUSY_S
        await asyncio.gather(*posts)


async def test_every_listener_closes_before_any_request_is_waited_for():
    started: asyncio.Queue[str] = asyncio.Queue()
    async with (
        serving(application(started), application(started)) as (urls, service),
        ClientSession() as session,
        asyncio.timeout(20),
    ):
        posts = [asyncio.create_task(post_when_up(session, urls[1]))]
        await started.get()
        signal.raise_signal(signal.SIGTERM)
        while True:  # the other one's listener
            try:
                async with session.get(urls[0]) as answer:
                    await answer.read()
            except ClientError:
                break
        assert not service.done()
        await service
        await asyncio.gather(*posts)


@pytest.mark.parametrize("stops", [False, True])
async def test_a_site_that_waits_keeps_neither_the_others_nor_the_end_waiting(stops):
    first, second = (ListenAddress("127.0.0.1", free_port()) for _ in range(2))
    opens = asyncio.Event()

    async def wait() -> None:
        await opens.wait()

    sites = [
        Site(application(asyncio.Queue()), first),
        Site(application(asyncio.Queue()), second, opens=wait),
    ]
    service = asyncio.create_task(serve_sites(sites))
    async with asyncio.timeout(10):
        await connect_when_up(first)
        with pytest.raises(OSError, match="Connect"):
            await asyncio.open_connection(second.host, second.port)
        if not stops:
            opens.set()
            await connect_when_up(second)
        signal.raise_signal(signal.SIGTERM)
        await service


async def connect_when_up(address: ListenAddress) -> None:
    """Return once somebody listens."""
    while True:
        try:
            _, writer = await asyncio.open_connection(address.host, address.port)
        except ConnectionRefusedError:
            await asyncio.sleep(0.01)
        else:
            writer.close()
            return


async def test_a_taken_port_is_said_bare_and_ends_what_was_started():
    app, other = (application(asyncio.Queue()) for _ in range(2))
    async with listening(app, ListenAddress("127.0.0.1", 0)) as taken:
        first = ListenAddress("127.0.0.1", free_port())
        with pytest.raises(ListenError, match="cannot listen"):
            await serve_sites([Site(other, first), Site(application(asyncio.Queue()), taken)])
        with pytest.raises(OSError, match="Connect"):
            await asyncio.open_connection(first.host, first.port)


async def test_a_server_whose_sweeper_dies_ends_with_the_reason(monkeypatch):
    async def die(*_: object) -> None:
        raise BuildernetError("the sweeper died")

    monkeypatch.setattr(ConnectionGuard, "sweep", die)
    async with serving(application(asyncio.Queue())) as (_, service), asyncio.timeout(20):
        with pytest.raises(BuildernetError, match="the sweeper died"):
            await service


async def test_an_archive_whose_port_is_taken_says_so_bare(monkeypatch):
    class Engine:
        def close(self) -> None:
            pass

    monkeypatch.setattr(
        "buildernet.archive.running._open_engines", lambda _: [Engine(), Engine(), Engine()]
    )
    async with listening(application(asyncio.Queue()), ListenAddress("127.0.0.1", 0)) as taken:
        general = General(listen_addr=str(taken), operator_listen_addr="127.0.0.1:0")
        access = Access(hub_url="http://127.0.0.1:1")
        with pytest.raises(ListenError, match="cannot listen"):
            await run_archive(ArchiveConfig(general=general, access=access))


async def test_what_a_site_waits_for_may_fail_and_is_said() -> None:
    async def fails() -> None:
        raise BuildernetError("the first list cannot be had")

    sites = [
        Site(application(asyncio.Queue()), ListenAddress("127.0.0.1", 0), opens=fails),
    ]
    with pytest.raises(BuildernetError, match="first list"):
        async with asyncio.timeout(10):
            await serve_sites(sites)
