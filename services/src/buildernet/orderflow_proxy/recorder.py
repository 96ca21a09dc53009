# SPDX-License-Identifier: MIT
"""Keeps orders for the archive: the hot path writes to the spool, everything else is beside it.

Users are refused before anything would be lost: above `reject_bytes` until the archive has taken
all but `resume_bytes`, and while the disk does not take records. What was accepted in the moment
the disk filled up is held in memory and written first when it can be.
"""

import asyncio
import logging
import os
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge

from buildernet.net.archive_stream import OrderRecord, ReceiptRecord, encode_record
from buildernet.orderflow_proxy.order import ArchiveFullError, Order, OrderSource
from buildernet.orderflow_proxy.spool import (
    Spool,
    SpoolError,
    SpoolFullError,
    sync_descriptors,
)
from buildernet.orderflow_proxy.spool_segment import RecordTooLargeError, require_size

HELD_BYTES: Final = 32 << 20
"""In memory while the disk refuses: an order of the largest size and what peers send meanwhile."""

MIN_FREE_BYTES: Final = 32 << 20
"""Users are refused while the disk has less free: two segments."""

_IDLE_CHECK_S: Final = 1.0
"""How often a refusing disk is tried again, and free space looked at."""

_DISK_FULL: Final = "Disk full"
"""FlowProxy's text, which its users' tools know."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SpoolThresholds:
    """When users are refused, and how much a loss of power may take."""

    reject_bytes: int
    resume_bytes: int
    sync_interval_s: float = 0.1
    """Records are made to survive a loss of power in groups, this often; 0: each before `record`
    returns; below 0: whenever the kernel likes. A killed process loses nothing either way."""
    min_free_bytes: int = MIN_FREE_BYTES


class NoRecorder:
    """Where there is no archive: everything is let through and nothing kept."""

    def check_room(self) -> None:
        """See `Recorder`."""

    def record(self, order: Order) -> None:
        """See `Recorder`."""


class ArchiveRecorder:
    """The `Recorder` of a node with an archive."""

    def __init__(
        self,
        spool: Spool,
        *,
        folder: Path,
        thresholds: SpoolThresholds,
        head: Callable[[], int | None],
        registry: CollectorRegistry,
    ) -> None:
        """Prepare; `run` does what happens beside the orders.

        Args:
            spool: Where records go.
            folder: The spool's, to look at the disk's free space.
            thresholds: When users are refused.
            head: The newest block known, or None.
            registry: Where the metrics go.
        """
        self._spool = spool
        self._folder = folder
        self._thresholds = thresholds
        self._head = head
        self._held: deque[bytes] = deque()
        self._held_bytes = 0
        self._full = False
        self._disk_failure: str | None = None
        self.fresh = asyncio.Event()
        """Set whenever there is something to send."""
        recorded = Counter(
            "orderflow_proxy_archive_records",
            "Records kept for the archive.",
            ["kind"],
            registry=registry,
        )
        self._recorded = {
            OrderRecord: recorded.labels("order"),
            ReceiptRecord: recorded.labels("receipt"),
        }
        self._lost = Counter(
            "orderflow_proxy_archive_records_lost",
            "Records that could not be kept; orders only when a disk fails for long.",
            registry=registry,
        )
        for name, help_text, read in (
            ("spool_bytes", "Bytes waiting for the archive.", lambda: spool.waiting_bytes),
            ("spool_records", "Records waiting for the archive.", lambda: spool.waiting),
            ("spool_lost_bytes", "Bytes found damaged on disk.", lambda: spool.lost_bytes),
            ("held_bytes", "Bytes in memory while the disk refuses.", lambda: self._held_bytes),
            ("refusing", "1 while users are refused.", lambda: int(self._is_refusing())),
        ):
            gauge = Gauge(f"orderflow_proxy_archive_{name}", help_text, registry=registry)
            gauge.set_function(read)

    def check_room(self) -> None:
        """See `Recorder`.

        Raises:
            ArchiveFullError: The archive is too far behind, or the disk takes nothing.
        """
        if self._is_refusing():
            raise ArchiveFullError(_DISK_FULL)

    def record(self, order: Order) -> None:
        """See `Recorder`.

        Raises:
            ArchiveFullError: Neither disk nor memory has room, or no record may be as large.
        """
        record = to_record(order, head=self._head())
        data = encode_record(record)
        try:
            require_size(data)
        except RecordTooLargeError as exc:  # no fault of the disk: nobody waits for it
            self._lost.inc()
            _log.error("archive_record_lost reason=%s", exc)
            raise ArchiveFullError(exc.message) from exc
        if self._held or not self._append(data):
            self._hold(data)
        self._recorded[type(record)].inc()
        self.fresh.set()

    async def run(self) -> None:
        """Sync the spool, try a refusing disk again, look at free space; runs until cancelled."""
        interval = self._thresholds.sync_interval_s
        pause = interval if interval > 0 else _IDLE_CHECK_S
        since_check = _IDLE_CHECK_S
        while True:
            await self._sync()
            since_check += pause
            if since_check >= _IDLE_CHECK_S or self._disk_failure:
                since_check = 0.0
                self._look_at_disk()
            await asyncio.sleep(_IDLE_CHECK_S if self._disk_failure else pause)

    def close(self) -> None:
        """Write what is held if the disk takes it, and close the spool.

        Raises:
            SpoolError: The disk refused; what is lost is counted.
        """
        self._write_held()
        if self._held:
            self._lost.inc(len(self._held))
            _log.error("archive_records_lost count=%d reason=%s", len(self._held), _DISK_FULL)
        self._spool.close()

    def _is_refusing(self) -> bool:
        waiting = self._spool.waiting_bytes
        if self._full and waiting <= self._thresholds.resume_bytes:
            self._full = False
            _log.info("archive_spool_resumed bytes=%d", waiting)
        elif not self._full and waiting >= self._thresholds.reject_bytes:
            self._full = True
            _log.warning("archive_spool_full bytes=%d", waiting)
        return self._full or self._disk_failure is not None or bool(self._held)

    def _append(self, data: bytes) -> bool:
        try:
            self._spool.append(data)
            if self._thresholds.sync_interval_s == 0:
                sync_descriptors(self._spool.take_unsynced())
        except SpoolFullError as exc:
            self._fail(exc.message)
            return False
        except SpoolError as exc:  # written, but the disk does not confirm it
            self._fail(exc.message)
        return True

    def _hold(self, data: bytes) -> None:
        if self._held_bytes + len(data) > HELD_BYTES:
            self._lost.inc()
            raise ArchiveFullError(_DISK_FULL)
        self._held.append(data)
        self._held_bytes += len(data)

    def _write_held(self) -> None:
        while self._held:
            try:
                self._spool.append(self._held[0])
            except SpoolFullError as exc:
                self._fail(exc.message)
                return
            self._held_bytes -= len(self._held.popleft())
        self._disk_failure = None
        self.fresh.set()

    async def _sync(self) -> None:
        if self._thresholds.sync_interval_s < 0:
            for descriptor in self._spool.take_unsynced():
                os.close(descriptor)
            return
        descriptors = self._spool.take_unsynced()
        if not descriptors:
            return
        try:
            await asyncio.to_thread(sync_descriptors, descriptors)
        except SpoolError as exc:
            self._fail(exc.message)

    def _look_at_disk(self) -> None:
        disk = os.statvfs(self._folder)
        free = disk.f_bavail * disk.f_frsize
        if free < self._thresholds.min_free_bytes:
            self._fail(f"only {free} bytes free")
        elif self._disk_failure is not None:
            self._write_held()
            if self._disk_failure is None:
                _log.info("archive_spool_disk_works free=%d", free)

    def _fail(self, reason: str) -> None:
        if self._disk_failure is None:
            _log.error("archive_spool_disk_refuses reason=%s", reason)
        self._disk_failure = reason


def to_record(order: Order, *, head: int | None) -> OrderRecord | ReceiptRecord:
    """Return what the archive gets of an order: a user's whole, a peer's as a receipt."""
    if order.source is not OrderSource.USER:
        return ReceiptRecord(
            received_at_us=order.received_at_us,
            hash=order.hash,
            source=order.peer,
            size=len(order.params),
            priority=order.priority.value,
        )
    slot = order.replacement
    return OrderRecord(
        received_at_us=order.received_at_us,
        method=order.method,
        kind=order.kind.value,
        hash=order.hash,
        key=order.key,
        signer=order.signer.raw,
        priority=order.priority.value,
        params=order.params,
        target_block=order.target_block,
        head_block=head,
        replacement_uuid=None if slot is None else slot.uuid.bytes,
        replacement_nonce=None if slot is None else slot.nonce,
    )
