# SPDX-License-Identifier: MIT
"""One quote at a time, for many callers.

The hardware serialises quotes (40 ms each on Google, seconds elsewhere). Callers that want the same
report data share one quote; the number of different ones that wait is bounded, and each caller has
a deadline.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Self

from buildernet.attestation.issue.errors import (
    QuoteDeadlineError,
    QuoteQueueFullError,
    QuoteUnavailableError,
)
from buildernet.base.background import keeping

MAX_WAITING: Final = 64
"""At 40 ms each, the last one in the queue waits 2.6 s; more would outlive a TLS handshake."""

DEADLINE_SECONDS: Final = 30.0
"""The kernel's own limit for one quote."""


@dataclass(slots=True)
class QueueCounts:
    """What happened so far, for metrics."""

    issued: int = 0
    failed: int = 0
    coalesced: int = 0
    refused: int = 0
    """The queue was full."""
    expired: int = 0
    """The caller's deadline passed."""
    abandoned: int = 0
    """Not made, because every caller had left before its turn."""


@dataclass(slots=True, eq=False)
class _Request:
    report_data: bytes
    result: asyncio.Future[bytes]
    callers: int = field(default=0)


class QuoteQueue:
    """Use as an async context manager; `get` from any task inside."""

    def __init__(
        self,
        quote: Callable[[bytes], bytes],
        *,
        max_waiting: int = MAX_WAITING,
        deadline_seconds: float = DEADLINE_SECONDS,
    ) -> None:
        """Make an idle queue.

        Args:
            quote: blocking; called in a thread of its own, never twice at once.
            max_waiting: different report data that may wait, beside the one in work.
            deadline_seconds: how long a caller waits.
        """
        self.counts = QueueCounts()
        self._quote = quote
        self._max_waiting = max_waiting
        self._deadline_seconds = deadline_seconds
        self._waiting: deque[_Request] = deque()
        self._by_data: dict[bytes, _Request] = {}
        self._arrived = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="quote")
        self._working = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self._working.enter_async_context(keeping([self._work()]))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            await self._working.__aexit__(kind, error, traceback)
        finally:
            for request in list(self._by_data.values()):
                self._abandon(request)
            # A quote in flight cannot be interrupted; the kernel ends it within 30 s.
            self._thread.shutdown(wait=False, cancel_futures=True)

    @property
    def waiting(self) -> int:
        """Quotes that wait for their turn."""
        return len(self._waiting)

    async def get(self, report_data: bytes) -> bytes:
        """Return a quote about `report_data`, possibly shared with other callers.

        Raises:
            QuoteQueueFullError: too many others are waiting; nothing was asked of the hardware.
            QuoteDeadlineError: no quote in time.
            IssueError: whatever the blocking function raised.
        """
        request = self._join(report_data)
        request.callers += 1
        try:
            async with asyncio.timeout(self._deadline_seconds):
                return await asyncio.shield(request.result)
        except TimeoutError as exc:
            if request.result.done():
                raise  # the blocking function's own
            self.counts.expired += 1
            raise QuoteDeadlineError(
                f"no quote within {self._deadline_seconds:g} s, {self.waiting} are waiting"
            ) from exc
        finally:
            request.callers -= 1

    def _join(self, report_data: bytes) -> _Request:
        known = self._by_data.get(report_data)
        if known is not None:
            self.counts.coalesced += 1
            return known
        if len(self._waiting) >= self._max_waiting:
            self._drop_abandoned()
        if len(self._waiting) >= self._max_waiting:
            self.counts.refused += 1
            raise QuoteQueueFullError(f"{self._max_waiting} quotes are waiting already")
        request = _Request(report_data, asyncio.get_running_loop().create_future())
        self._by_data[report_data] = request
        self._waiting.append(request)
        self._arrived.set()
        return request

    def _drop_abandoned(self) -> None:
        for request in [request for request in self._waiting if not request.callers]:
            self._waiting.remove(request)
            self._abandon(request)

    def _abandon(self, request: _Request) -> None:
        del self._by_data[request.report_data]
        _settle(request, QuoteUnavailableError("the quote queue was stopped"))
        self.counts.abandoned += 1

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            while not self._waiting:
                self._arrived.clear()
                await self._arrived.wait()
            request = self._waiting.popleft()
            if not request.callers:
                self._abandon(request)
                continue
            try:
                quote = await loop.run_in_executor(self._thread, self._quote, request.report_data)
            except asyncio.CancelledError:
                raise  # leaving the context: __aexit__ tells the callers
            except Exception as exc:  # the callers get it, whatever it is
                self.counts.failed += 1
                _settle(request, exc)
            else:
                self.counts.issued += 1
                request.result.set_result(quote)
            del self._by_data[request.report_data]


def _settle(request: _Request, error: Exception) -> None:
    request.result.set_exception(error)
    request.result.exception()  # counts as seen, even when every caller has left
