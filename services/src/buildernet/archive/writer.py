# SPDX-License-Identifier: MIT
"""Rows of many requests become few insertions; who waits hears when its rows are on disk.

One thread inserts. While it works, further rows collect, so that a busy archive makes large
insertions by itself; a quiet one waits `interval_s` between two, since the engine wants few parts.
What may wait is bounded: above it a request is refused and its sender keeps the batch.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from buildernet.archive.engine import Engine
from buildernet.archive.errors import (
    BusyError,
    EngineError,
    EngineFullError,
    EngineUnavailableError,
)
from buildernet.archive.rows import Row
from buildernet.archive.tables import TABLES

MAX_INSERT_ROWS: Final = 50_000
"""One insertion: below the engine's own block size (a million), above any burst of one second."""

MAX_INSERT_BYTES: Final = 32 << 20
"""The engine holds an insertion several times over while it sorts and compresses it."""

_BUCKETS_S: Final = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class WriterLimits:
    """How rows are collected."""

    interval_s: float = 0.25
    """Between the starts of two rounds of insertions."""
    max_waiting_bytes: int = 128 << 20
    """Rows that wait or are being inserted."""


@dataclass(slots=True)
class _Waiting:
    rows: Sequence[Row]
    size: int
    done: asyncio.Future[None]


@dataclass(slots=True)
class _Group:
    """What goes into one insertion."""

    parts: list[_Waiting] = field(default_factory=list)

    @property
    def rows(self) -> list[Row]:
        return [row for part in self.parts for row in part.rows]


class Writer:
    """Collects rows and inserts them."""

    def __init__(
        self,
        engine: Engine,
        *,
        limits: WriterLimits,
        registry: CollectorRegistry,
        on_state: Callable[[str | None], None] = lambda _reason: None,
    ) -> None:
        """Prepare; `run` does the work.

        Args:
            engine: Used by this writer's own thread only.
            limits: How rows are collected.
            registry: Where its metrics go.
            on_state: Told why rows cannot be stored, and None when they can again.
        """
        self._engine = engine
        self._limits = limits
        self._on_state = on_state
        self._waiting: list[_Waiting] = []
        self._bytes = 0
        self._wake = asyncio.Event()
        self._stopping = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="archive-writer")
        self._stored = Counter("archive_rows_stored", "Rows on disk.", ["table"], registry=registry)
        self._failed = Counter(
            "archive_insertions_failed", "Insertions refused by the engine.", registry=registry
        )
        self._refused = Counter(
            "archive_batches_refused_busy",
            "Batches turned away because too much was waiting.",
            registry=registry,
        )
        self._seconds = Histogram(
            "archive_insertion_duration_seconds",
            "Time of one insertion, all tables.",
            buckets=_BUCKETS_S,
            registry=registry,
        )
        waiting = Gauge("archive_waiting_bytes", "Rows not yet on disk.", registry=registry)
        waiting.set_function(lambda: self._bytes)

    async def store(self, rows: Sequence[Row]) -> None:
        """Return when the rows are on disk.

        Raises:
            BusyError: Too much is waiting, or the writer is stopping; nothing was taken.
            EngineError: They are not stored; the same rows may be given again.
        """
        size = sum(len(data) for _, data in rows)
        if self._stopping:
            raise BusyError("the archive is stopping")
        if self._bytes and self._bytes + size > self._limits.max_waiting_bytes:
            self._refused.inc()
            raise BusyError("the archive is behind")
        part = _Waiting(rows, size, asyncio.get_running_loop().create_future())
        self._waiting.append(part)
        self._bytes += size
        self._wake.set()
        # Shielded: a sender that leaves does not take the others' rows along.
        await asyncio.shield(part.done)

    async def run(self) -> None:
        """Insert until `stop`, then what is still waiting."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                started = loop.time()
                while self._waiting:
                    await self._insert(self._next_group())
                if self._stopping:
                    return
                pause = self._limits.interval_s - (loop.time() - started)
                if pause > 0:
                    await asyncio.sleep(pause)
        finally:
            self._thread.shutdown()

    def stop(self) -> None:
        """Take nothing more; `run` returns when everything taken is stored or refused."""
        self._stopping = True
        self._wake.set()

    def _next_group(self) -> _Group:
        group, rows, size = _Group(), 0, 0
        while self._waiting:
            part = self._waiting[0]
            if group.parts and (
                rows + len(part.rows) > MAX_INSERT_ROWS or size + part.size > MAX_INSERT_BYTES
            ):
                break
            group.parts.append(self._waiting.pop(0))
            rows += len(part.rows)
            size += part.size
        return group

    async def _insert(self, group: _Group) -> None:
        """Insert a group; when it fails, each request alone, so that one cannot spoil the rest."""
        try:
            await self._insert_rows(group.rows)
        except EngineError as exc:
            about_all = isinstance(exc, EngineFullError | EngineUnavailableError)
            if len(group.parts) > 1 and not about_all:
                for part in group.parts:
                    await self._insert(_Group([part]))
                return
            self._settle(group, exc)
        else:
            self._settle(group, None)

    async def _insert_rows(self, rows: Sequence[Row]) -> None:
        loop = asyncio.get_running_loop()
        started = loop.time()
        try:
            counts = await loop.run_in_executor(self._thread, _insert_all, self._engine, rows)
        except EngineError as exc:
            self._failed.inc()
            self._on_state(exc.message)
            _log.error("insertion_failed rows=%d reason=%s", len(rows), exc)
            raise
        self._on_state(None)
        self._seconds.observe(loop.time() - started)
        for table, count in counts.items():
            self._stored.labels(table).inc(count)

    def _settle(self, group: _Group, error: EngineError | None) -> None:
        for part in group.parts:
            self._bytes -= part.size
            if part.done.cancelled():
                continue
            if error is None:
                part.done.set_result(None)
            else:
                part.done.set_exception(error)
                part.done.exception()  # retrieved: its waiter may have left


def _insert_all(engine: Engine, rows: Sequence[Row]) -> dict[str, int]:
    by_table: dict[str, list[bytes]] = {}
    for table, data in rows:
        by_table.setdefault(table.name, []).append(data)
    for name, parts in by_table.items():
        engine.insert(name, TABLES[name].names, b"".join(parts))
    return {name: len(parts) for name, parts in by_table.items()}
