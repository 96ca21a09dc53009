# SPDX-License-Identifier: MIT
"""What a node does with a request to share: who sent it, is it new, and every order by itself.

Reference: docs/protocols/orderflow-share.md, the rules in their order.
"""

import asyncio
from collections.abc import Iterable

from buildernet.orderflow_proxy import share
from buildernet.orderflow_proxy.clock import ArrivalClock
from buildernet.orderflow_proxy.dedup import SeenKeys
from buildernet.orderflow_proxy.errors import RefusalCode, ShareError, ShareSourceError
from buildernet.orderflow_proxy.intake import Intake, Sender
from buildernet.orderflow_proxy.metrics import ReceiverMetrics
from buildernet.orderflow_proxy.order import (
    DeliveryFullError,
    OrderPriority,
    OrderRefusedError,
    OrderSource,
    Peers,
    UnknownPeerError,
)
from buildernet.orderflow_proxy.rpc import FLASHBOTS
from buildernet.orderflow_proxy.share import Refusal, ShareRequest
from buildernet.orderflow_proxy.share_order import SharedOrder, read_orders

MAX_REMEMBERED_REQUESTS = 262_144
"""Requests of all peers within the replay window: 870 a second, about 30 MB."""

_TURN_ORDERS = 8
"""Orders between which other requests get their turn: about a millisecond."""


class ShareBusyError(ShareError):
    """The builder's queue is full and nothing of the request was taken."""

    status = 503
    refusal = RefusalCode.BUSY


class Sharing:
    """Takes requests of peers."""

    def __init__(
        self,
        intake: Intake,
        *,
        peers: Peers,
        clock: ArrivalClock,
        metrics: ReceiverMetrics,
    ) -> None:
        self._intake = intake
        self._peers = peers
        self._clock = clock
        self._metrics = metrics
        self._nonces = SeenKeys(
            capacity=MAX_REMEMBERED_REQUESTS, ttl_s=share.MAX_AGE_S + 2 * share.MAX_SKEW_S
        )

    async def receive(self, body: bytes) -> bytes:
        """Take the orders of a request and return the answer's body.

        Raises:
            ShareError: The request is refused as a whole; its status says how.
        """
        request = share.parse_request(body)
        name = self._authorise(request)
        now_s = self._clock.wall_s()
        share.check_request(request, now_s=now_s)
        if request.nonce in self._nonces:
            self._metrics.share_repeated.inc()
            return share.encode_response(now_s=now_s)
        if all(entry.method for entry in request.entries):
            orders = read_orders(request)
        else:  # described transactions are decoded to compare them
            orders = await asyncio.to_thread(read_orders, request)
        self._metrics.share_orders.observe(len(orders))
        refused = await self._take(orders, request, name)
        self._nonces.add(request.nonce)
        return share.encode_response(now_s=now_s, refused=refused)

    def _authorise(self, request: ShareRequest) -> str:
        try:
            return self._peers.authorise(request.source)
        except UnknownPeerError as exc:
            raise ShareSourceError("source_node is not a node that the hub lists") from exc

    async def _take(
        self, orders: Iterable[SharedOrder], request: ShareRequest, name: str
    ) -> list[Refusal]:
        source = OrderSource.FLASHBOTS if name == FLASHBOTS else OrderSource.PEER
        refused, taken, full = [], 0, 0
        for count, order in enumerate(orders, start=1):
            priority = None if order.priority is None else OrderPriority(order.priority)
            sender = Sender(request.source, source, name, priority)
            try:
                self._intake.take(order.method, [order.param], sender)
                taken += 1
            except OrderRefusedError as exc:
                is_full = isinstance(exc, DeliveryFullError)
                full += is_full
                code = RefusalCode.BUSY if is_full else RefusalCode.NONE
                refused += [Refusal(index, exc.message, code) for index in order.indices]
            if not count % _TURN_ORDERS:
                await asyncio.sleep(0)
        if full and not taken:
            raise ShareBusyError("the builder's queue is full: nothing was taken")
        return refused
