# SPDX-License-Identifier: MIT
"""Opens the spool and runs what feeds the archive, as long as the proxy runs."""

import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from enum import StrEnum
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import aiohttp
from prometheus_client import CollectorRegistry

from buildernet.base.background import keeping
from buildernet.base.errors import ConfigError
from buildernet.ethereum.signature import SigningKey
from buildernet.net.address import require_encrypted
from buildernet.net.authority import trusting
from buildernet.orderflow_proxy.archive_sender import (
    ArchiveSender,
    Form,
    OrderEventsForm,
    RecordsForm,
)
from buildernet.orderflow_proxy.config import Archive
from buildernet.orderflow_proxy.order import Recorder
from buildernet.orderflow_proxy.recorder import ArchiveRecorder, NoRecorder, SpoolThresholds
from buildernet.orderflow_proxy.spool import Spool, SpoolError

DRAIN_S: Final = 3.0
"""What a stopping proxy gives the archive; the rest waits on disk."""

_MIB: Final = 1 << 20
_MS: Final = 1000


class ArchiveForm(StrEnum):
    """What the archive understands."""

    RECORDS = "records"
    """Ours: docs/protocols/orderflow-archive.md."""
    ORDER_EVENTS = "order-events"
    """The reference's `flashbots_newOrderEvents`."""


@asynccontextmanager
async def archiving(
    config: Archive,
    *,
    key: SigningKey,
    head: Callable[[], int | None],
    registry: CollectorRegistry,
) -> AsyncIterator[Recorder]:
    """Yield the recorder; leaving gives the archive a moment and keeps the rest on disk.

    Args:
        config: The table `[archive]`; without an endpoint nothing is kept.
        key: Signs what is sent.
        head: The newest block known, or None.
        registry: Where the metrics go.

    Raises:
        ConfigError: The endpoint is no URL, or plain HTTP that leaves this machine; or the spool
            cannot be opened.
    """
    if not config.endpoint:
        yield NoRecorder()
        return
    context = _tls(
        config.endpoint, config.authority_file, dangerously_plain=config.dangerously_plain
    )
    try:
        spool = Spool(config.spool_dir, max_bytes=config.spool_max_mb * _MIB)
    except SpoolError as exc:
        raise ConfigError(f"archive.spool_dir: {exc}", hint=exc.hint) from exc
    thresholds = SpoolThresholds(
        reject_bytes=config.reject_above_mb * _MIB,
        resume_bytes=config.resume_below_mb * _MIB,
        sync_interval_s=config.sync_interval_ms / _MS,
    )
    recorder = ArchiveRecorder(
        spool, folder=config.spool_dir, thresholds=thresholds, head=head, registry=registry
    )
    wire: Form = RecordsForm() if config.form == ArchiveForm.RECORDS else OrderEventsForm(head)
    connector = aiohttp.TCPConnector(limit=1, ssl=context)
    try:
        async with aiohttp.ClientSession(connector=connector) as session:
            sender = ArchiveSender(
                spool,
                url=config.endpoint,
                form=wire,
                key=key,
                session=session,
                fresh=recorder.fresh,
                registry=registry,
            )
            async with keeping([recorder.run(), sender.run()]):
                yield recorder
                await sender.drain(DRAIN_S)
    finally:
        recorder.close()


def _tls(url: str, authority: Path | None, *, dangerously_plain: bool) -> ssl.SSLContext | bool:
    parts = urlsplit(url)
    if parts.scheme == "https" and parts.hostname:
        return trusting(authority)
    if parts.scheme != "http" or not parts.hostname:
        raise ConfigError(f"archive endpoint {url[:80]!r} is no http or https URL")
    if not dangerously_plain:
        require_encrypted("archive endpoint", url)
    return True
