# SPDX-License-Identifier: MIT
"""Sends what the spool holds to the archive: in order, again and again until it is acknowledged.

One batch is under way at a time. Only the archive's refusal of a single record's content gives that
record up; it is counted and logged. Everything else (no connection, a full archive, a signer that
it does not know) is waited out.
"""

import asyncio
import io
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from time import monotonic
from typing import Final, Protocol

import aiohttp
import msgspec
from prometheus_client import CollectorRegistry, Counter, Histogram

from buildernet.ethereum.signature import FLASHBOTS_SIGNATURE, SigningKey, sign_body
from buildernet.net import archive_stream
from buildernet.net.jsonrpc import INVALID_PARAMS, RemoteError, parse_answer
from buildernet.orderflow_proxy import order_events
from buildernet.orderflow_proxy.sending.backoff import compute_backoff
from buildernet.orderflow_proxy.spool import Batch, Spool, SpoolError

REQUEST_TIMEOUT_S: Final = 15.0
"""The Go proxy's."""
FIRST_DELAY_S: Final = 0.25
LAST_DELAY_S: Final = 30.0
"""Between two tries of the same batch."""
_MAX_RETRY_AFTER_S: Final = 60.0
_MAX_ANSWER_BYTES: Final = 64 * 1024
_MAX_SHOWN_BYTES: Final = 200
_INLINE_BATCH_BYTES: Final = 128 * 1024
"""Above this a batch is encoded and signed in a thread: hashing 4 MB takes 10 ms, for which every
order would wait."""

_LOOK_S: Final = 0.05
"""How often a batch that waits for more is looked at: below every form's linger time."""


_log = logging.getLogger(__name__)


class ContentRefusedError(Exception):
    """The archive will never take these records."""


class NotTakenError(Exception):
    """The archive did not take a batch now."""

    def __init__(self, reason: str, *, retry_after_s: float = 0.0) -> None:
        super().__init__(reason)
        self.retry_after_s = retry_after_s


class TooLargeError(NotTakenError):
    """Something on the way takes only smaller bodies."""


class _Refusal(msgspec.Struct):
    """How our archive refuses; what another server answers does not count."""

    code: int
    message: str


class Form(Protocol):
    """How a batch looks on the wire."""

    @property
    def path(self) -> str:
        """Where to send."""

    @property
    def content_type(self) -> str:
        """Of the body."""

    @property
    def max_records(self) -> int:
        """Of one batch."""

    @property
    def max_bytes(self) -> int:
        """Of one batch's records."""

    @property
    def linger_s(self) -> float:
        """How long a batch that is not full waits for more."""

    def encode(self, batch: Batch) -> bytes | None:
        """Return the body, or None when nothing of the batch is to be sent."""

    def check_answer(self, status: int, body: bytes) -> None:
        """Return if the batch was stored.

        Raises:
            ContentRefusedError: The archive itself says that it will never take these records.
            NotTakenError: Anything else.
        """


@dataclass(frozen=True, slots=True)
class RecordsForm:
    """Our archive's."""

    path: str = archive_stream.RECORDS_PATH
    content_type: str = archive_stream.CONTENT_TYPE
    max_records: int = 5000
    max_bytes: int = 8 << 20
    linger_s: float = 0.2

    def encode(self, batch: Batch) -> bytes:
        """See `Form`."""
        return archive_stream.encode_batch(batch.stream, batch.first, batch.records)

    def check_answer(self, status: int, body: bytes) -> None:
        """See `Form`."""
        if status == HTTPStatus.OK:
            return
        try:
            refusal = msgspec.json.decode(body, type=_Refusal)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise NotTakenError(_shown(status, body)) from None
        if status == refusal.code == HTTPStatus.BAD_REQUEST:
            raise ContentRefusedError(refusal.message)
        raise NotTakenError(_shown(status, body))


@dataclass(frozen=True, slots=True)
class OrderEventsForm:
    """The reference archive's."""

    head: Callable[[], int | None]
    path: str = "/"
    content_type: str = "application/json"
    max_records: int = order_events.MAX_EVENTS
    max_bytes: int = 8 << 20
    linger_s: float = order_events.LINGER_S

    def encode(self, batch: Batch) -> bytes | None:
        """See `Form`."""
        try:
            return order_events.encode_order_events(batch.records, head=self.head())
        except order_events.HeadUnknownError as exc:
            raise NotTakenError("no block number is known yet") from exc

    def check_answer(self, status: int, body: bytes) -> None:
        """See `Form`."""
        try:
            parse_answer(body)
        except RemoteError as exc:
            if exc.code == INVALID_PARAMS:
                raise ContentRefusedError(exc.message) from exc
            raise NotTakenError(exc.message) from exc
        if status != HTTPStatus.OK:
            raise NotTakenError(_shown(status, body))


class ArchiveSender:
    """The loop."""

    def __init__(
        self,
        spool: Spool,
        *,
        url: str,
        form: Form,
        key: SigningKey,
        session: aiohttp.ClientSession,
        fresh: asyncio.Event,
        registry: CollectorRegistry,
    ) -> None:
        """Prepare.

        Args:
            spool: What to send.
            url: Base URL of the archive.
            form: How.
            key: Signs every body.
            session: The connection is kept in it, with its TLS settings.
            fresh: Set when the spool got something.
            registry: Where the metrics go.
        """
        self._spool = spool
        self._url = url.rstrip("/") + form.path
        self._form = form
        self._key = key
        self._session = session
        self._fresh = fresh
        self._failures = 0
        self._acknowledged = asyncio.Event()
        self._most = form.max_records
        self._sent = Counter(
            "orderflow_proxy_archive_records_sent",
            "Records that the archive has acknowledged.",
            registry=registry,
        )
        self._batches = Counter(
            "orderflow_proxy_archive_sent_ok", "Batches acknowledged.", registry=registry
        )
        self._refused = Counter(
            "orderflow_proxy_archive_records_refused",
            "Records whose content the archive refused; they were given up.",
            registry=registry,
        )
        self._errors = Counter(
            "orderflow_proxy_archive_rpc_errors", "Tries that failed.", registry=registry
        )
        self._seconds = Histogram(
            "orderflow_proxy_archive_rpc_duration_seconds",
            "Time of a try.",
            buckets=(0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0),
            registry=registry,
        )

    async def run(self) -> None:
        """Send; runs until cancelled."""
        while True:
            await self._wait_for_records()
            try:
                batch = self._spool.read(max_records=self._most, max_bytes=self._form.max_bytes)
                if batch is not None:
                    await self._send(batch)
                    self._save_position()
            except SpoolError as exc:
                _log.error("archive_spool_failed reason=%s", exc)
                await asyncio.sleep(LAST_DELAY_S)

    def _save_position(self) -> None:
        """Write down what is acknowledged; a disk that is full must not stop what empties it."""
        try:
            self._spool.save_position()
        except SpoolError as exc:
            _log.warning("archive_position_not_saved reason=%s", exc)

    async def drain(self, timeout_s: float) -> None:
        """Wait until nothing is left to send, but not longer; `run` must be running."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while self._spool.waiting:
                    self._acknowledged.clear()
                    await self._acknowledged.wait()

    async def _wait_for_records(self) -> None:
        while not self._spool.waiting:
            self._fresh.clear()
            await self._fresh.wait()
        deadline = monotonic() + self._form.linger_s
        # An event would wake this task for every order.
        while not self._is_full() and (left := deadline - monotonic()) > 0:  # noqa: ASYNC110
            await asyncio.sleep(min(left, _LOOK_S))

    def _is_full(self) -> bool:
        spool = self._spool
        return spool.waiting >= self._most or spool.waiting_bytes >= self._form.max_bytes

    async def _send(self, batch: Batch) -> None:
        started = monotonic()
        try:
            signed = await self._make_body(batch)
            if signed is not None:
                await self._post(*signed)
        except ContentRefusedError as exc:
            self._errors.inc()
            self._give_up(batch, str(exc))
        except NotTakenError as exc:
            self._errors.inc()
            if isinstance(exc, TooLargeError):
                self._most = max(1, len(batch.records) // 2)
            await self._back_off(exc)
        else:
            self._seconds.observe(monotonic() - started)
            self._spool.acknowledge(batch.end)
            self._acknowledged.set()
            self._sent.inc(len(batch.records))
            self._batches.inc()
            if self._failures:
                _log.info("archive_takes_again failures=%d", self._failures)
            self._failures = 0
            self._most = min(self._most * 2, self._form.max_records)

    async def _make_body(self, batch: Batch) -> tuple[bytes, str] | None:
        """Return the body and its signature; a large one is made beside the event loop."""

        def make() -> tuple[bytes, str] | None:
            body = self._form.encode(batch)
            return None if body is None else (body, sign_body(self._key, body))

        if sum(map(len, batch.records)) <= _INLINE_BATCH_BYTES:
            return make()
        return await asyncio.to_thread(make)

    async def _post(self, body: bytes, signature: str) -> None:
        headers = {"Content-Type": self._form.content_type, FLASHBOTS_SIGNATURE: signature}
        try:
            async with self._session.post(
                self._url,
                data=io.BytesIO(body),  # in pieces; bytes would be written in one
                headers=headers,
                timeout=aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_S),
                allow_redirects=False,
            ) as answer:
                text = await answer.content.read(_MAX_ANSWER_BYTES)
        except (aiohttp.ClientError, TimeoutError, OSError) as exc:
            raise NotTakenError(str(exc) or type(exc).__name__) from exc
        if answer.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            raise TooLargeError(_shown(answer.status, text))
        try:
            self._form.check_answer(answer.status, text)
        except NotTakenError as exc:
            exc.retry_after_s = _seconds(answer.headers.get("Retry-After", ""))
            raise

    def _give_up(self, batch: Batch, reason: str) -> None:
        """Send half next time, down to the one record that is to blame; give that one up."""
        if len(batch.records) > 1:
            self._most = len(batch.records) // 2
            return
        self._refused.inc()
        _log.error("archive_record_refused bytes=%d reason=%s", len(batch.records[0]), reason)
        self._spool.acknowledge(batch.end)

    async def _back_off(self, error: NotTakenError) -> None:
        if not self._failures:
            _log.warning("archive_does_not_take reason=%s", error)
        self._failures += 1
        delay = compute_backoff(self._failures, first_s=FIRST_DELAY_S, longest_s=LAST_DELAY_S)
        await asyncio.sleep(max(delay, min(error.retry_after_s, _MAX_RETRY_AFTER_S)))


def _seconds(text: str) -> float:
    return float(text[:6]) if text.isascii() and text.isdigit() else 0.0


def _shown(status: int, body: bytes) -> str:
    return f"status {status}: {body[:_MAX_SHOWN_BYTES]!r}"
