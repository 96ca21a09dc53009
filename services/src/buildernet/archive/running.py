# SPDX-License-Identifier: MIT
"""Opens the engine, starts what runs beside the requests, and stops it in the right order."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final

import aiohttp
from aiohttp import web

from buildernet.archive import senders as hub
from buildernet.archive.app import Parts, build_app, build_operator_app
from buildernet.archive.clickhouse_server import ServerAddress, ServerEngine
from buildernet.archive.config import Access, ArchiveConfig, Storage
from buildernet.archive.embedded import EmbeddedEngine
from buildernet.archive.engine import Engine
from buildernet.archive.migrations import migrate
from buildernet.archive.reader import Reader
from buildernet.archive.retention import apply_retention
from buildernet.archive.senders import Senders
from buildernet.archive.writer import Writer, WriterLimits
from buildernet.base.background import keeping
from buildernet.base.bounded_file import read_file
from buildernet.base.errors import ConfigError
from buildernet.ethereum.address import Address
from buildernet.net.address import ListenAddress
from buildernet.net.certificate_reload import reloading
from buildernet.net.fetch import HttpFetcher
from buildernet.net.health import READINESS, STOPPING
from buildernet.net.metrics import METRICS
from buildernet.net.server import Site, serve_sites

_MAX_SECRET_BYTES: Final = 4096
_MIN_TOKEN_BYTES: Final = 16

_log = logging.getLogger(__name__)


async def run_archive(config: ArchiveConfig) -> None:
    """Serve until told to stop.

    Raises:
        BuildernetError: A setting, a file, the engine or an address does not allow it.
    """
    general = config.general
    async with (
        reloading(general.certificate_file, general.private_key_file) as tls,
        opened(config) as (app, operator),
    ):
        asked = ListenAddress.parse(general.operator_listen_addr)
        await serve_sites(
            [
                Site(operator, asked, tls=None if general.operator_is_local else tls),
                Site(app, ListenAddress.parse(general.listen_addr), tls=tls),
            ]
        )


@asynccontextmanager
async def opened(config: ArchiveConfig) -> AsyncIterator[tuple[web.Application, web.Application]]:
    """Yield the nodes' and the operator's application with everything behind them running.

    Leaving the context stores what was taken and closes the engine.

    Raises:
        BuildernetError: See `run_archive`.
    """
    token = _token(config.general.operator_token_file)
    operator = build_operator_app()
    registry = operator[METRICS].registry
    senders = Senders(
        ((Address.parse(one.address), one.name) for one in config.senders), registry=registry
    )
    storage = config.storage
    async with AsyncExitStack() as stack:
        engines: list[Engine] = []
        for engine in await asyncio.to_thread(_open_engines, storage):
            stack.callback(engine.close)
            engines.append(engine)
        reader = Reader(engines[1], engines[2])
        stack.callback(reader.close)
        shown: list[web.Application] = []
        writer = Writer(
            engines[0],
            limits=WriterLimits(
                interval_s=storage.insert_interval_ms / 1000,
                max_waiting_bytes=storage.max_waiting_mb << 20,
            ),
            registry=registry,
            on_state=partial(_show, shown),
        )
        parts = Parts(senders, writer, reader, token)
        app = build_app(config, parts, operator=operator)
        shown += [app, operator]
        if config.access.hub_url:
            await stack.enter_async_context(following_hub(config.access, senders))
        await stack.enter_async_context(keeping([writer.run()], stop=writer.stop))
        yield app, operator


def _show(apps: Sequence[web.Application], reason: str | None) -> None:
    for app in apps:
        if app[READINESS].reason != STOPPING:
            app[READINESS].reason = reason


def _open_engines(storage: Storage) -> list[Engine]:
    """Return three connections (insertions, questions, exports) on tables of today's version."""
    make, cluster = _engine_maker(storage)
    engines = [make()]
    try:
        migrate(engines[0], cluster=cluster)
        apply_retention(engines[0], months=storage.retention_months, cluster=cluster)
        engines += [make(), make()]
    except BaseException:
        for engine in engines:
            engine.close()
        raise
    return engines


def _engine_maker(storage: Storage) -> tuple[Callable[[], Engine], str | None]:
    if not storage.database_url:
        return (
            partial(EmbeddedEngine, storage.data_dir, max_memory_bytes=storage.max_memory_bytes),
            None,
        )
    address = ServerAddress.parse(storage.database_url)
    password = ""
    if storage.database_password_file is not None:
        password = _secret(storage.database_password_file).decode()
    return partial(ServerEngine, address, password=password), address.cluster


@asynccontextmanager
async def following_hub(access: Access, senders: Senders) -> AsyncIterator[None]:
    """Keep the senders as the hub names them, while the context is open."""
    url = access.hub_url.rstrip("/") + hub.list_path(access.hub_network)
    async with aiohttp.ClientSession() as session:
        fetcher = HttpFetcher(session)

        async def fetch() -> bytes:
            body, _ = await fetcher(url, limit=hub.MAX_LIST_BYTES)
            return body

        await senders.refresh(fetch)
        async with keeping([senders.follow(fetch, every_s=access.hub_refresh_s)]):
            yield


def _token(path: Path | None) -> bytes:
    if path is None:
        return b""
    token = _secret(path)
    if len(token) < _MIN_TOKEN_BYTES:
        raise ConfigError(f"the token in {path} is shorter than {_MIN_TOKEN_BYTES} bytes")
    return token


def _secret(path: Path) -> bytes:
    return read_file(path, limit=_MAX_SECRET_BYTES).strip()
