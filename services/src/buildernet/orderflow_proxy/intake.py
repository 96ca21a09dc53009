# SPDX-License-Identifier: MIT
"""What becomes of one order: parsed, judged, handed on, remembered. No I/O.

Everything happens in one step of the event loop, so that no other order can come between looking
an order up and remembering it; only a large order is parsed before that step, beside the others. It
is remembered after it was handed on, never before: an order that was refused may be sent again.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Final, Protocol

from buildernet.ethereum.address import Address
from buildernet.net.jsonrpc import MAX_BATCH_REQUESTS
from buildernet.orderflow_proxy.clock import ArrivalClock
from buildernet.orderflow_proxy.dedup import SeenKeys
from buildernet.orderflow_proxy.metrics import Outcome, ReceiverMetrics
from buildernet.orderflow_proxy.order import (
    ArchiveFullError,
    Delivery,
    DeliveryFullError,
    Order,
    OrderKind,
    OrderPriority,
    OrderRefusedError,
    OrderSource,
    Recorder,
)
from buildernet.orderflow_proxy.orders.parsed import OrderRequest, ParsedOrder
from buildernet.orderflow_proxy.orders.parser import is_cancellation
from buildernet.orderflow_proxy.priority import Scores, Traits, classify
from buildernet.orderflow_proxy.rate_limit import OrderRateError, RateLimiter
from buildernet.orderflow_proxy.replacement import Slots, StaleNonceError

_NEXT_BLOCK_US: Final = 6_000_000
"""What is for the next block is remembered within windows of half a slot. Who sends for block after
block does so about 12 s apart, and whatever the chain's phase two such never share a window; within
whole slots every jitter around a border swallowed one."""

_FOR_NEXT_BLOCK: Final = frozenset({OrderKind.BUNDLE, OrderKind.MEV_BUNDLE, OrderKind.SUBSIDY})
"""Kinds that are for the block being built when they name none."""

_FROM_NODE: Final = b"\1"
"""Behind the key of what another node sent. It went to the builder alone, so when the same order
comes from a user it still has to go to the peers and the archive."""


@dataclass(frozen=True, slots=True)
class Sender:
    """Who a request comes from, as its signature and the hub's list say."""

    signer: Address
    source: OrderSource
    peer: str
    """Name of the peer, `flashbots`, or `user-request`."""
    priority: OrderPriority | None = None
    """What a peer says about its order; users are judged by what they did."""


class ReadsOrders(Protocol):
    """Reads the parameters of a method; `orders.parser.OrderParser` does."""

    def parse(self, method: str, params: Sequence[bytes], request: OrderRequest) -> ParsedOrder:
        """Return the order.

        Raises:
            OrderRefusedError: It is none, or breaks a rule.
        """


@dataclass(frozen=True, slots=True)
class Memory:
    """What the receiver remembers of earlier orders; all of it bounded."""

    seen: SeenKeys
    slots: Slots
    scores: Scores
    orders_left: RateLimiter
    cancellations_left: RateLimiter
    """Cancellations have a bucket of their own: other orders cannot use it up."""


class Intake:
    """Takes orders one by one."""

    def __init__(
        self,
        *,
        parser: ReadsOrders,
        delivery: Delivery,
        recorder: Recorder,
        memory: Memory,
        metrics: ReceiverMetrics,
        clock: ArrivalClock,
        max_txs_per_bundle: int,
    ) -> None:
        self._parser = parser
        self._delivery = delivery
        self._recorder = recorder
        self._memory = memory
        self._metrics = metrics
        self._clock = clock
        self._max_txs = max_txs_per_bundle
        self._parsing = asyncio.Semaphore(1)

    def arrive(self) -> int:
        """Return the time of arrival of a body; each of its orders adds its place in a batch."""
        return self._clock.now_us(MAX_BATCH_REQUESTS + 1)

    def take(
        self,
        method: str,
        params: Sequence[bytes],
        sender: Sender,
        arrived_us: int | None = None,
    ) -> ParsedOrder:
        """Take one order; a duplicate is taken by forgetting it.

        Args:
            method: The JSON-RPC method.
            params: The JSON of each parameter.
            sender: Who sent it.
            arrived_us: From `arrive`, when its body was complete; None: now.

        Raises:
            OrderRefusedError: It was not taken; every subclass has its own reason.
        """
        started = perf_counter()
        outcome = Outcome.FAILED
        try:
            request = self._admit(method, params, sender, arrived_us)
            parsed = self._parser.parse(method, params, request)
            outcome = self._settle(parsed, sender)
            return parsed
        except OrderRefusedError as exc:
            outcome = self._refuse(exc, sender)
            raise
        finally:
            self._count(outcome, method, sender, started)

    async def take_large(
        self, method: str, params: Sequence[bytes], sender: Sender, arrived_us: int
    ) -> ParsedOrder:
        """As `take`, for an order that takes long to parse: in a thread, one at a time.

        What follows the parsing is one step here too.
        """
        started = perf_counter()
        outcome = Outcome.FAILED
        try:
            request = self._admit(method, params, sender, arrived_us)
            async with self._parsing:
                parsed = await asyncio.to_thread(self._parser.parse, method, params, request)
            outcome = self._settle(parsed, sender)
            return parsed
        except OrderRefusedError as exc:
            outcome = self._refuse(exc, sender)
            raise
        finally:
            self._count(outcome, method, sender, started)

    def _refuse(self, error: OrderRefusedError, sender: Sender) -> Outcome:
        """Remember a refusal in the signer's score; return what it counts as."""
        outcome = _outcome(error)
        if sender.source is OrderSource.USER and outcome is not Outcome.ARCHIVE_FULL:
            invalid = outcome is Outcome.INVALID
            self._memory.scores.count(sender.signer.raw, invalid=invalid)
        return outcome

    def _count(self, outcome: Outcome, method: str, sender: Sender, started: float) -> None:
        self._metrics.count(outcome, source=sender.source, method=method, peer=sender.peer)
        self._metrics.seconds.observe(perf_counter() - started)

    def _settle(self, parsed: ParsedOrder, sender: Sender) -> Outcome:
        """Judge an order, hand it on and remember it."""
        by_user = sender.source is OrderSource.USER
        if len(parsed.transactions) > self._max_txs:
            raise OrderRefusedError(
                f"bundle has {len(parsed.transactions)} transactions, at most {self._max_txs}"
            )
        order = parsed.to_order(self._priority(parsed, sender))
        if self._is_known(order):
            if by_user:
                self._memory.scores.count(sender.signer.raw)
            return Outcome.DUPLICATE
        self._delivery.submit(order)
        self._remember(order)
        self._record(order)
        if by_user:
            self._memory.scores.count(sender.signer.raw)
        self._metrics.priorities[order.priority].inc()
        return Outcome.ACCEPTED

    def _admit(
        self, method: str, params: Sequence[bytes], sender: Sender, arrived_us: int | None
    ) -> OrderRequest:
        """Let an order in to be parsed: of a user, if there is room and the rate allows it.

        A cancellation needs no room, which it makes, and has a rate of its own.
        """
        if sender.source is OrderSource.USER:
            signer = sender.signer.raw
            try:
                self._recorder.check_room()
                self._memory.orders_left.take(signer, len(params[0]) if params else 0)
            except (ArchiveFullError, OrderRateError):
                if not is_cancellation(method, params):
                    raise
                self._memory.cancellations_left.take(signer)
        received_us = arrived_us or self._clock.now_us()
        return OrderRequest(sender.source, sender.signer, sender.peer, received_us)

    def _priority(self, parsed: ParsedOrder, sender: Sender) -> OrderPriority:
        if parsed.kind is OrderKind.CANCELLATION:
            return OrderPriority.HIGH
        if sender.source is not OrderSource.USER:
            return sender.priority or OrderPriority.MEDIUM
        traits = Traits(
            kind=parsed.kind,
            has_blobs=any(each.blob_versioned_hashes for each in parsed.transactions),
            cannot_fail=parsed.cannot_fail,
            is_replaceable=parsed.replacement is not None,
        )
        return classify(traits, score=self._memory.scores.score(sender.signer.raw))

    def _is_known(self, order: Order) -> bool:
        if order.replacement is not None:
            return self._memory.slots.is_duplicate(order)
        if order.kind is OrderKind.CANCELLATION:
            return False
        key = _memory_key(order)
        if order.source is OrderSource.USER:
            return key in self._memory.seen
        return key in self._memory.seen or key + _FROM_NODE in self._memory.seen

    def _remember(self, order: Order) -> None:
        if order.replacement is not None:
            self._memory.slots.put(order)
        elif order.kind is not OrderKind.CANCELLATION:
            key = _memory_key(order)
            self._memory.seen.add(key if order.source is OrderSource.USER else key + _FROM_NODE)

    def _record(self, order: Order) -> None:
        """Keep for the archive; there was room a moment ago, and a peer's flow never waits."""
        try:
            self._recorder.record(order)
        except ArchiveFullError:
            self._metrics.not_recorded.inc()


def _memory_key(order: Order) -> bytes:
    """Return what an order is remembered by.

    A bundle without a block, or a subsidy, is for the next one only: sent again for the block after
    it is another wish, although nothing in it differs.
    """
    if order.target_block is None and order.kind in _FOR_NEXT_BLOCK:
        return order.key + (order.received_at_us // _NEXT_BLOCK_US).to_bytes(8)
    return order.key


def _outcome(error: OrderRefusedError) -> Outcome:
    if isinstance(error, StaleNonceError):
        return Outcome.STALE
    if isinstance(error, OrderRateError):
        return Outcome.RATE_LIMITED
    if isinstance(error, ArchiveFullError):
        return Outcome.ARCHIVE_FULL
    if isinstance(error, DeliveryFullError):
        return Outcome.BUILDER_FULL
    return Outcome.INVALID
