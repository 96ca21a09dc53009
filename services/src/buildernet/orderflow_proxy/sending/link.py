# SPDX-License-Identifier: MIT
"""The way to one destination: its queue, its connections, its retries. Others never wait for it.

Driven by callbacks, without a task per request: an order handed to an idle link is written to a
connection before `put` returns. Batches (`Form.max_orders` above 1) go at once when nothing is
under way, else when they are full or `LINGER_S` old.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

from buildernet.net.errors import KeptConnectionError, PinError
from buildernet.net.keepalive import Answer
from buildernet.orderflow_proxy.sending.backoff import compute_backoff
from buildernet.orderflow_proxy.sending.forms import Form, Judgement, Request, Verdict
from buildernet.orderflow_proxy.sending.head import ChainHead
from buildernet.orderflow_proxy.sending.metrics import DestinationMetrics
from buildernet.orderflow_proxy.sending.outbox import DropReason, Outbox
from buildernet.orderflow_proxy.sending.parcel import Parcel, Ticket
from buildernet.orderflow_proxy.sending.pool import Pool, PooledConnection, Target

LINGER_S: Final = 0.002
"""How long orders are collected while a request is under way: below what a network adds."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LinkTimes:
    """How patient a link is."""

    connect_s: float = 5.0
    """TCP and TLS handshake across the world take under a second."""
    answer_s: float = 10.0
    """As the Go proxy. The sharing protocol's 60 s are the most a receiver may take; an order does
    not live that long, and sent again it is a duplicate there."""


class Link:
    """Sends to one destination."""

    def __init__(
        self,
        name: str,
        *,
        target: Target,
        form: Form,
        head: ChainHead,
        metrics: DestinationMetrics,
        connections: int,
        times: LinkTimes | None = None,
        on_pin_mismatch: Callable[[], None] = lambda: None,
    ) -> None:
        """Prepare; the first connection is opened with the first order or by `warm`.

        Args:
            name: For logs.
            target: Where to.
            form: How orders look there.
            head: Tells which orders are over.
            metrics: Counts.
            connections: Most of them at once.
            times: How patient.
            on_pin_mismatch: Called when the peer shows another certificate: the list may be old.
        """
        self.name = name
        self.form = form
        self.head = head
        self.metrics = metrics
        self.outbox = Outbox(drop=self._dropped)
        self.reachable: bool | None = None
        """None before the first attempt."""
        self._times = times or LinkTimes()
        self._on_pin_mismatch = on_pin_mismatch
        self._pool = Pool(
            target,
            most=connections,
            connect_s=self._times.connect_s,
            gauge=metrics.connections,
            on_ready=self._ready,
            on_failure=self._unconnected,
        )
        self._flying = 0
        self._failures = 0
        self._closed_until_s = 0.0
        self._lingering: asyncio.TimerHandle | None = None
        self._lingered = False
        self._clock_refused = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_s = 0.0
        """When it is due. Not asked of the timer: uvloop's has no `when` below half a ms."""
        self._ended = False

    # --- from outside -------------------------------------------------------------------------

    def put(self, parcel: Parcel) -> None:
        """Queue an order; written at once when a connection is idle."""
        self.metrics.accepted.inc()
        self.metrics.waiting.inc()
        self.outbox.put(parcel, now_s=_now_s())
        self._pump()

    def warm(self) -> None:
        """Open a connection before the first order needs it."""
        if not len(self._pool):
            self._connect()

    def probe(self) -> None:
        """Open a connection if there is none and nothing else tries."""
        if _now_s() >= self._closed_until_s:
            self.warm()

    def sweep(self) -> None:
        """Drop what is over; called at each new block and now and then."""
        self.outbox.sweep(now_s=_now_s(), head=self.head.fresh())

    def retarget(self, target: Target, form: Form) -> None:
        """Go elsewhere, or expect another certificate; what waits stays, connections do not."""
        self.form = form
        self._failures, self._closed_until_s = 0, 0.0
        self._pool.retarget(target)
        self._pump()

    async def close(self) -> None:
        """Drop what waits and end every connection."""
        self._ended = True
        for timer in (self._lingering, self._timer):
            if timer is not None:
                timer.cancel()
        self.outbox.clear()
        await self._pool.close()

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits and nothing is under way."""
        return not len(self.outbox) and not self._flying

    # --- sending ------------------------------------------------------------------------------

    def _pump(self) -> None:
        """Send what can be sent now; see to it that the rest is looked at again."""
        if self._ended:
            return
        now = _now_s()
        if now < self._closed_until_s:
            self._wake_at(self._closed_until_s)
            return
        while self.outbox.has_ready or self._is_due(now):
            if self._must_linger():
                return
            connection = self._pool.take()
            if connection is None:
                self._connect()
                return
            batch = self._take_batch(now)
            if not batch:
                self._pool.give_back(connection)
                break
            self._send(connection, batch, now)
        if (due := self.outbox.next_due_s) is not None:
            self._wake_at(due)

    def _send(self, connection: PooledConnection, batch: list[Ticket], now: float) -> None:
        for ticket in batch:
            self.metrics.queued_ms.observe((now - ticket.queued_s) * 1000)
        self.metrics.batch.observe(len(batch))
        self._flying += 1
        self._lingered = False
        request = self.form.encode(batch)
        connection.send(
            request.data,
            timeout_s=self._times.answer_s,
            done=partial(self._answered, connection, batch, request, now),
        )

    def _take_batch(self, now: float) -> list[Ticket]:
        head, batch, size = self.head.fresh(), list[Ticket](), 0
        while len(batch) < self.form.max_orders:
            ticket = self.outbox.take(now_s=now, head=head)
            if ticket is None:
                break
            if batch and (ticket.alone or size + ticket.size > self.form.max_bytes):
                self.outbox.put_back(ticket)
                break
            batch.append(ticket)
            size += ticket.size
            if ticket.alone:
                break
        return batch

    def _must_linger(self) -> bool:
        """Whether to wait for more orders; starts the timer that ends the wait."""
        full = (
            self.form.max_orders == 1
            or not self._flying
            or self._lingered
            or len(self.outbox) >= self.form.max_orders
            or self.outbox.size_bytes >= self.form.max_bytes
        )
        if full:
            return False
        if self._lingering is None:
            self._lingering = asyncio.get_running_loop().call_later(LINGER_S, self._end_linger)
        return True

    def _end_linger(self) -> None:
        self._lingering, self._lingered = None, True
        self._pump()

    def _is_due(self, now: float) -> bool:
        due = self.outbox.next_due_s
        return due is not None and due <= now

    # --- answers ------------------------------------------------------------------------------

    def _answered(
        self,
        connection: PooledConnection,
        batch: list[Ticket],
        request: Request,
        sent_s: float,
        outcome: Answer | KeptConnectionError,
    ) -> None:
        self._flying -= 1
        now = _now_s()
        if isinstance(outcome, KeptConnectionError):
            self._unanswered(batch, outcome, now)
            self._pump()
            return
        self.metrics.rpc_ms.observe((now - sent_s) * 1000)
        self._judged(batch, request.judge(outcome), outcome, now)
        self._pool.give_back(connection)
        self._pump()

    def _judged(
        self, batch: list[Ticket], judgement: Judgement, answer: Answer, now: float
    ) -> None:
        verdict = judgement.verdict
        self._compare_clocks(judgement)
        if verdict in (Verdict.DELIVERED, Verdict.REFUSED):
            self._succeeded()
            for index, ticket in enumerate(batch):
                if index in judgement.later:
                    self._put_back(ticket, not_before_s=now + compute_backoff(ticket.attempts + 1))
                    continue
                self.outbox.settle(ticket)
                if verdict is Verdict.REFUSED or index in judgement.refused:
                    self._dropped(ticket.parcel, DropReason.REFUSED)
                else:
                    self.metrics.delivered.inc()
                    self.metrics.waiting.dec()
        if verdict is not Verdict.DELIVERED:
            self.metrics.rpc_errors.inc()
        if verdict is Verdict.REFUSED or judgement.refused:
            _log.info(
                "order_refused peer=%s status=%d reason=%r",
                self.name,
                answer.status,
                judgement.said,
            )
        if verdict is Verdict.BUSY:
            self._failed(f"status {answer.status}", now)
        if verdict in (Verdict.BUSY, Verdict.LATER, Verdict.AGAIN):
            for ticket in reversed(batch):
                ticket.alone = ticket.alone or verdict is Verdict.AGAIN
                delay = compute_backoff(ticket.attempts + 1) if verdict is Verdict.LATER else None
                self._put_back(ticket, not_before_s=None if delay is None else now + delay)

    def _compare_clocks(self, judgement: Judgement) -> None:
        """Count a refusal for our time, and say once that the clocks differ."""
        if judgement.ahead_s is None:
            return
        self.metrics.clock_ahead_s.set(judgement.ahead_s)
        if judgement.clock_refused:
            self.metrics.clock_refused.inc()
            if not self._clock_refused:
                _log.warning(
                    "clock_refused peer=%s ahead_s=%.0f: orders go one by one meanwhile",
                    self.name,
                    judgement.ahead_s,
                )
        self._clock_refused = judgement.clock_refused

    def _unanswered(self, batch: list[Ticket], error: KeptConnectionError, now: float) -> None:
        if not (error.reused and error.silent):
            self.metrics.rpc_errors.inc()
            self._failed(error.message, now)
        for ticket in reversed(batch):
            self._put_back(ticket)

    def _put_back(self, ticket: Ticket, *, not_before_s: float | None = None) -> None:
        if self._ended:
            self.outbox.settle(ticket)
            self._dropped(ticket.parcel, DropReason.GONE)
            return
        self.metrics.retries.inc()
        self.outbox.put_back(ticket, not_before_s=not_before_s)

    def _dropped(self, _parcel: Parcel, reason: DropReason) -> None:
        self.metrics.dropped[reason].inc()
        self.metrics.waiting.dec()
        if reason is DropReason.QUEUE_FULL:
            self.metrics.stalling.inc()

    # --- connections --------------------------------------------------------------------------

    def _connect(self) -> None:
        """Open a connection more; a destination that fails is tried with a single one."""
        if not (self._failures and len(self._pool)):
            self._pool.open_one()  # its end, whichever, looks again

    def _ready(self, is_new: bool) -> None:
        if is_new and not len(self.outbox):
            self._succeeded()  # nobody else would find out; an order that waits finds out more
        if self.outbox.has_ready:
            self._pump()

    def _unconnected(self, reason: Exception) -> None:
        if isinstance(reason, PinError):
            self._on_pin_mismatch()
        self._failed(str(reason) or "no connection in time", _now_s())

    # --- failures -----------------------------------------------------------------------------

    def _failed(self, reason: str, now: float) -> None:
        if now >= self._closed_until_s:  # else: others that failed at the same time
            self._failures += 1
            self._closed_until_s = now + compute_backoff(self._failures)
        if self.reachable is not False:
            _log.warning("destination_unreachable peer=%s reason=%s", self.name, reason)
        self.reachable = False

    def _succeeded(self) -> None:
        self._failures = 0
        if not self.reachable:
            _log.info("destination_reachable peer=%s", self.name)
        self.reachable = True

    def _wake_at(self, when_s: float) -> None:
        if self._ended:
            return
        if self._timer is not None:
            if self._timer_s <= when_s:
                return
            self._timer.cancel()
        self._timer_s = when_s
        self._timer = asyncio.get_running_loop().call_at(when_s, self._wake)

    def _wake(self) -> None:
        self._timer = None
        self._pump()


def _now_s() -> float:
    return asyncio.get_running_loop().time()
