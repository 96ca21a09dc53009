# SPDX-License-Identifier: MIT
"""One HTTP site with limits: listen, say so to systemd, stop gracefully on SIGTERM.

`new_application` gives an application with health, metrics and the middlewares; the service adds
its routes; `serve` runs it. TLS is a context, or what a `front` puts before it; authentication is
not here.
"""

import asyncio
import logging
import signal
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from aiohttp import web

from buildernet.base.background import bare_errors, keeping
from buildernet.net import limits as fixed
from buildernet.net import notify
from buildernet.net.address import ListenAddress
from buildernet.net.connections import ConnectionGuard
from buildernet.net.errors import ListenError
from buildernet.net.health import READINESS, STOPPING, Readiness, livez, readyz
from buildernet.net.limits import ServerLimits
from buildernet.net.metrics import METRICS, HttpMetrics, metrics
from buildernet.net.middleware import GUARD, LIMITS, around
from buildernet.net.open_files import raise_limit
from buildernet.net.tls_listener import TlsListener

_log = logging.getLogger(__name__)

Front = Callable[[Callable[[], asyncio.Protocol]], asyncio.Protocol]
"""Makes the protocol of a TCP connection, given what makes the HTTP server's: TLS stands here."""


@dataclass(frozen=True, slots=True)
class Site:
    """An application and where it is served."""

    app: web.Application
    address: ListenAddress
    front: Front | None = None
    """What stands between its connections and HTTP; None for plain HTTP."""
    tls: ssl.SSLContext | None = None
    """Ordinary TLS before HTTP; what is loaded into it later serves the connections after that."""
    opens: Callable[[], Awaitable[None]] | None = None
    """Waited for before it listens, while the sites before it are served already."""


def new_application(service: str, *, limits: ServerLimits) -> web.Application:
    """Return an application with `/livez`, `/readyz`, `/metrics`, deadlines and JSON errors.

    Args:
        service: Prefix of the metrics, such as `system_api`.
        limits: What one client may cost.
    """
    app = bare_application(limits=limits, metrics=HttpMetrics(service))
    app.router.add_get("/livez", livez)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/metrics", metrics)
    return app


def bare_application(*, limits: ServerLimits, metrics: HttpMetrics) -> web.Application:
    """Return an application with deadlines and JSON errors, but no route of its own.

    Args:
        limits: What one client may cost.
        metrics: Counts its requests.
    """
    guard = ConnectionGuard(limits, metrics)
    app = web.Application(
        middlewares=[around(limits, metrics, guard)], client_max_size=limits.max_body_bytes
    )
    app[LIMITS] = limits
    app[METRICS] = metrics
    app[GUARD] = guard
    app[READINESS] = Readiness()
    return app


@asynccontextmanager
async def listening(
    app: web.Application,
    address: ListenAddress,
    *,
    front: Front | None = None,
    tls: ssl.SSLContext | None = None,
    stop_timeout_s: float | None = None,
) -> AsyncIterator[ListenAddress]:
    """Serve the application while the context is open; yields the address with its real port.

    Leaving the context stops gracefully: no new connection, idle ones closed, running requests
    finished or cut after `stop_timeout_s` (`STOP_TIMEOUT_S`), then the application's own clean-up.

    Raises:
        ListenError: The address is in use or not ours.
    """
    runner = web.AppRunner(
        app,
        access_log=None,
        logger=_malformed_log(),
        keepalive_timeout=app[LIMITS].idle_timeout_s,
        lingering_time=fixed.LINGER_S,
        auto_decompress=False,  # who takes compressed bodies bounds what comes out of them
        max_line_size=fixed.MAX_LINE_BYTES,
        max_field_size=fixed.MAX_LINE_BYTES,
        max_headers=fixed.MAX_HEADERS,
        # aiohttp waits as long again for a handler once it was told to end.
        shutdown_timeout=(stop_timeout_s or fixed.STOP_TIMEOUT_S) / 2,
    )
    await runner.setup()
    try:
        server, guard = runner.server, app[GUARD]
        if server is None:
            raise RuntimeError("an AppRunner that is set up has a server")

        def make_protocol() -> asyncio.Protocol:
            return guard.accept(server)

        jobs: list[Coroutine[Any, Any, None]] = []
        listener: asyncio.Server | TlsListener
        if tls is None:
            factory = make_protocol if front is None else lambda: front(make_protocol)
            listener = await _listen(factory, address)
        else:
            listener = await _listen_tls(address, tls)
            jobs.append(listener.run(make_protocol, is_full=partial(guard.refuses, server)))
        try:
            bound = ListenAddress(address.host, listener.sockets[0].getsockname()[1])
            _log.info("listening address=%s", bound)
            app[READINESS].reason = None
            async with keeping([guard.sweep(server), *jobs]):
                yield bound
        finally:
            app[READINESS].reason = STOPPING
            listener.close()
    finally:
        await runner.cleanup()


async def serve(
    app: web.Application,
    address: ListenAddress,
    *,
    front: Front | None = None,
    also: Sequence[tuple[web.Application, ListenAddress]] = (),
) -> None:
    """Serve until SIGTERM or SIGINT, then stop gracefully within 10 s.

    Args:
        app: The application.
        address: Where it listens.
        front: What stands between its connections and HTTP; None for plain HTTP.
        also: Further applications, in plain HTTP, that live as long.

    Raises:
        ListenError: The address is in use or not ours.
    """
    await serve_sites([*(Site(*other) for other in also), Site(app, address, front)])


async def serve_sites(sites: Sequence[Site], *, stop_timeout_s: float | None = None) -> None:
    """Serve several applications as `serve` does; they start in this order and stop together.

    Args:
        sites: What is served.
        stop_timeout_s: What running requests get after SIGTERM, those of all sites together; by
            default `STOP_TIMEOUT_S`.

    Raises:
        ListenError: One of the addresses is in use or not ours.
    """
    raise_limit()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    with bare_errors():
        async with asyncio.TaskGroup() as group:
            for site in sites:
                if site.opens is not None:
                    await _either(site.opens(), stop.wait())
                if stop.is_set():
                    break
                started = asyncio.Event()
                group.create_task(_serve(site, started, stop, stop_timeout_s))
                await started.wait()
            notify.send(notify.READY)
            await stop.wait()
            _log.info("stopping")
            notify.send(notify.STOPPING)
    _log.info("stopped")


async def _either(*awaited: Awaitable[object]) -> None:
    """Wait for the first, and raise what it raises; the others are cancelled."""
    waiting = [asyncio.ensure_future(each) for each in awaited]
    try:
        done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for each in done:
            each.result()
    finally:
        for each in waiting:
            each.cancel()


async def _serve(
    site: Site, started: asyncio.Event, stop: asyncio.Event, stop_timeout_s: float | None
) -> None:
    """Serve one site. A task each: all listeners close before the first request is waited for."""
    async with listening(
        site.app, site.address, front=site.front, tls=site.tls, stop_timeout_s=stop_timeout_s
    ):
        started.set()
        await stop.wait()


async def _listen(
    factory: Callable[[], asyncio.Protocol], address: ListenAddress
) -> asyncio.Server:
    loop = asyncio.get_running_loop()
    with _listen_errors(address):
        return await loop.create_server(
            factory, address.host, address.port, backlog=fixed.BACKLOG, reuse_address=True
        )


async def _listen_tls(address: ListenAddress, tls: ssl.SSLContext) -> TlsListener:
    with _listen_errors(address):
        return await TlsListener.bind(address, tls)


@contextmanager
def _listen_errors(address: ListenAddress) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise ListenError(
            f"cannot listen on {address}: {exc.strerror or exc}",
            hint="another program may use the port; stop it, or configure another",
        ) from exc


class _WithoutTraceback(logging.Filter):
    """What aiohttp logs as an error with a traceback is a client's malformed request: one line."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info and record.exc_info[1] is not None:
            record.msg = f"{record.msg} reason={type(record.exc_info[1]).__name__}"
        record.exc_info = None
        record.levelno, record.levelname = logging.INFO, "INFO"
        return True


def _malformed_log() -> logging.Logger:
    log = logging.getLogger("buildernet.net.malformed")
    if not log.filters:
        log.addFilter(_WithoutTraceback())
    return log
