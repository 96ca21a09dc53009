# SPDX-License-Identifier: MIT
"""Joins settings to the real database, keys and collateral; serves; closes everything again."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

import aiohttp
from aiohttp import web

from buildernet.attestation.verify.sources import find_collateral, load_roots
from buildernet.attestation.verify.status import OUT_OF_DATE_TOO, UP_TO_DATE_ONLY
from buildernet.base.background import keeping
from buildernet.base.bounded_file import read_file
from buildernet.base.errors import ConfigError
from buildernet.builder_hub.app import Applications, build_apps
from buildernet.builder_hub.basic_auth import require_hash
from buildernet.builder_hub.config import HubConfig
from buildernet.builder_hub.database import Database, parse_database_url
from buildernet.builder_hub.database_start import require_database
from buildernet.builder_hub.documents import forget_sealed, has_secrets
from buildernet.builder_hub.errors import SealError, UnavailableError
from buildernet.builder_hub.evidence import EvidenceVerifier
from buildernet.builder_hub.hub import Hub
from buildernet.builder_hub.journal import drop_events
from buildernet.builder_hub.metrics import HubMetrics
from buildernet.builder_hub.migrate import migrate, newest, version
from buildernet.builder_hub.sealing import Sealer, create_key_file, load_keys, new_key, parse_keys
from buildernet.net.address import ListenAddress
from buildernet.net.fetch import HttpFetcher
from buildernet.net.file_store import FileStore
from buildernet.net.server import serve

MAX_LINE_BYTES: Final = 4096
"""A database's URL or a password's hash."""

DEFAULT_KEY_FILE: Final = "builder-hub.keys"
"""Beside a SQLite database, made when there is none yet."""

MEMORY_KEY: Final = "memory"

_DAY_S: Final = 86_400
_CLEAN_EVERY_S: Final = 3600.0

_log = logging.getLogger(__name__)


async def run_hub(config: HubConfig) -> None:
    """Serve until SIGTERM.

    Raises:
        BuildernetError: The settings, files or database cannot be used.
    """
    config = resolve(config)
    require_hash(config.admin.basic_password_bcrypt)  # before anything is made
    async with opened(config) as hub:
        apps = build_apps(hub)
        _warn(config)
        async with keeping([_clean(hub)]):
            await serve(
                apps.instance, ListenAddress.parse(config.listen_addr), also=_others(config, apps)
            )


def resolve(config: HubConfig) -> HubConfig:
    """Return the settings with what stands in files read.

    Raises:
        ConfigError: A file cannot be read.
    """
    if config.database_url_file is not None:
        config = replace(config, database_url=_line(config.database_url_file))
    if config.admin.basic_password_bcrypt_file is not None:
        text = _line(config.admin.basic_password_bcrypt_file)
        config = replace(config, admin=replace(config.admin, basic_password_bcrypt=text))
    return config


@asynccontextmanager
async def opened(config: HubConfig) -> AsyncIterator[Hub]:
    """Give the hub with an open database of the right version.

    Raises:
        BuildernetError: The database cannot be used, or keys or collateral cannot be read.
    """
    database = Database(parse_database_url(config.database_url))
    try:
        await require_database(database)
        if config.migrate_at_start:
            await migrate(database)
        elif (found := await version(database)) != newest():
            raise ConfigError(
                f"the database has version {found}, this program needs {newest()}",
                hint="run: builder-hub migrate",
            )
        sealer = await open_sealer(config, database)
        async with aiohttp.ClientSession() as session:
            demands = config.attestation
            verifier = EvidenceVerifier(
                find_collateral=find_collateral(
                    bundle=demands.collateral,
                    pccs_url=demands.pccs_url,
                    fetch=HttpFetcher(session),
                    store=None
                    if demands.collateral_dir is None
                    else FileStore(demands.collateral_dir),
                ),
                roots=load_roots(demands.trust_root),
                policy=OUT_OF_DATE_TOO if demands.override_azure_outdated_tcb else UP_TO_DATE_ONLY,
            )
            yield Hub(config, database, sealer, verifier, HubMetrics())
    finally:
        await database.close()


async def open_sealer(config: HubConfig, database: Database) -> Sealer:
    """Return what encrypts secrets.

    Raises:
        ConfigError: No key file is named, and the database is not a local file.
        SealError: The key file cannot be used, or is missing though secrets are there.
    """
    if config.secrets.in_memory:
        async with database.transaction() as connection:
            await forget_sealed(connection, key_id=MEMORY_KEY)
        return parse_keys(new_key(MEMORY_KEY))
    path = config.secrets.key_file
    if path is None:
        if not database.is_sqlite:
            raise ConfigError(
                "secrets.key_file is not set",
                hint='builder-hub new-key > FILE; chmod 0600 FILE; key_file = "FILE" in [secrets]',
            )
        path = Path(database.engine.url.database or "").with_name(DEFAULT_KEY_FILE)
        if not path.exists():
            async with database.transaction() as connection:
                if await has_secrets(connection):
                    raise SealError(f"secrets are there, but their key file {path} is not")
            _log.warning("key_file_made path=%s back_it_up=yes", path)
            return create_key_file(path)
    return load_keys(path)


def _others(config: HubConfig, apps: Applications) -> list[tuple[web.Application, ListenAddress]]:
    others = [
        (apps.internal, ListenAddress.parse(config.internal_addr)),
        (apps.admin, ListenAddress.parse(config.admin_addr)),
    ]
    if config.metrics_addr:
        others.append((apps.metrics, ListenAddress.parse(config.metrics_addr)))
    return others


async def _clean(hub: Hub) -> None:
    """Forget old events; runs until cancelled."""
    while True:
        oldest = hub.now_ms - hub.config.event_retention_days * _DAY_S * 1000
        try:
            async with hub.transaction() as connection:
                dropped = await drop_events(connection, before_ms=oldest)
            if dropped:
                _log.info("events_dropped count=%d", dropped)
        except UnavailableError:
            _log.info("events_not_cleaned reason=database")
        await asyncio.sleep(_CLEAN_EVERY_S)


def _warn(config: HubConfig) -> None:
    demands = config.attestation
    for name in (
        "dangerously_accept_unproved_registrations",
        "dangerously_accept_unattested_measurements",
        "dangerously_lenient_as_reference",
    ):
        if getattr(demands, name):
            _log.warning("dangerous_setting name=%s", name)
    if config.admin.dangerously_disable_auth:
        _log.warning("dangerous_setting name=dangerously_disable_auth")
    elif not config.admin.basic_password_bcrypt:
        _log.warning("admin_locked_out cause=no password is set")
    if demands.proxy_secret_file is None:
        _log.warning(
            "proxy_unproved cause=any program on a trusted proxy's address speaks for instances"
        )
    if config.secrets.in_memory:
        _log.warning("secrets_in_memory cause=they are lost when this process ends")


def _line(path: Path) -> str:
    return read_file(path, limit=MAX_LINE_BYTES).decode(errors="replace").strip()
