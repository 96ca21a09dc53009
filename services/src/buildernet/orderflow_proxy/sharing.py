# SPDX-License-Identifier: MIT
"""What a node does with a request to share: who sent it, is it new, and every order by itself.

Reference: docs/protocols/orderflow-share.md, the rules in their order.
"""

import asyncio
import logging
from array import array
from collections import OrderedDict
from collections.abc import Collection

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

MAX_OPEN_REQUESTS = 1024
"""Requests of which not every order was taken: rare, and of 4096 orders each they are 8 MB."""

_TURN_ORDERS = 8
"""Orders between which other requests get their turn: about a millisecond."""


_NOT_SHARED = {"bid_subsidiseBlock": "bid_subsidiseBlock by sharing"}
"""A method that is not found here: Flashbots subsidises by JSON-RPC, and nodes pass nothing on."""

_log = logging.getLogger(__name__)


class ShareBusyError(ShareError):
    """The builder's queue is full, or a copy of the request is being taken: nothing was taken."""

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
        self._under_way: set[bytes] = set()
        self._open: OrderedDict[bytes, array[int]] = OrderedDict()
        """By nonce: the positions of the orders that were not taken."""

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
        if request.nonce in self._under_way:
            raise ShareBusyError("a copy of this request is being taken")
        self._under_way.add(request.nonce)
        try:
            refused = await self._process(request, name)
        finally:
            self._under_way.discard(request.nonce)
        return share.encode_response(now_s=now_s, refused=refused)

    async def _process(self, request: ShareRequest, name: str) -> list[Refusal]:
        """Take what was not taken before; remember whether anything is left.

        Raises:
            ShareError: See `receive`.
        """
        if all(entry.method for entry in request.entries):
            orders = read_orders(request)
        else:  # described transactions are decoded to compare them
            orders = await asyncio.to_thread(read_orders, request)
        self._metrics.share_orders.observe(len(orders))
        before = self._open.get(request.nonce)
        if before is not None:
            self._metrics.share_repeated.inc()
        wanted = range(len(orders)) if before is None else frozenset(before)
        left: array[int] = array("H")
        refused = await self._take(orders, request, name, wanted, left)
        self._remember(request.nonce, left)
        return refused

    def _remember(self, nonce: bytes, left: "array[int]") -> None:
        """Keep what a repetition has still to take; what is forgotten counts as taken whole."""
        self._open.pop(nonce, None)
        if not left:
            self._nonces.add(nonce)
            return
        self._open[nonce] = left
        if len(self._open) > MAX_OPEN_REQUESTS:
            self._nonces.add(self._open.popitem(last=False)[0])

    def _authorise(self, request: ShareRequest) -> str:
        try:
            return self._peers.authorise(request.source)
        except UnknownPeerError as exc:
            raise ShareSourceError("source_node is not a node that the hub lists") from exc

    async def _take(
        self,
        orders: list[SharedOrder],
        request: ShareRequest,
        name: str,
        wanted: Collection[int],
        left: "array[int]",
    ) -> list[Refusal]:
        """Take the wanted orders, each by itself; `left` gets the positions of those refused."""
        source = OrderSource.FLASHBOTS if name == FLASHBOTS else OrderSource.PEER
        refused, taken, full = [], 0, 0
        for position, order in enumerate(orders):
            if position not in wanted:
                continue
            priority = None if order.priority is None else OrderPriority(order.priority)
            sender = Sender(request.source, source, name, priority)
            try:
                method = _NOT_SHARED.get(order.method, order.method)
                self._intake.take(method, [order.param], sender)
                taken += 1
            except OrderRefusedError as exc:
                is_full = isinstance(exc, DeliveryFullError)
                full += is_full
                code = RefusalCode.BUSY if is_full else RefusalCode.NONE
                refused += [Refusal(index, exc.message, code) for index in order.indices]
                left.append(position)
            except Exception:  # one order must not take the others' answers with it
                _log.exception("shared_order_failed method=%s", order.method[:64])
                refused += [Refusal(index, "Internal error") for index in order.indices]
                left.append(position)
            if position % _TURN_ORDERS == _TURN_ORDERS - 1:
                await asyncio.sleep(0)
        if full and not taken and len(wanted) == len(orders):
            raise ShareBusyError("the builder's queue is full: nothing was taken")
        return refused
