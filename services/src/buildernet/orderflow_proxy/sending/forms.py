# SPDX-License-Identifier: MIT
"""How orders look to a destination, and how its answers are understood.

`JsonRpcForm` is what every implementation understands: one order per request, byte for byte the
body that was signed once; it also carries orders to the local builder. `NodeForm` sends many orders
under one signature to our own nodes, and JSON-RPC to a peer that turns out to be something else.

Reference: docs/protocols/orderflow-share.md.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from time import monotonic, time, time_ns
from typing import Any, Final, Protocol

import msgspec

from buildernet.ethereum.signature import SigningKey
from buildernet.net.jsonrpc import RESOURCE_UNAVAILABLE
from buildernet.net.keepalive import Answer
from buildernet.orderflow_proxy import share
from buildernet.orderflow_proxy.errors import RefusalCode, ShareError
from buildernet.orderflow_proxy.sending.parcel import Parcel, Ticket

MAX_BATCH_ORDERS: Final = 64
"""More saves nothing, and holds the receiver's loop for longer than an order should wait."""

MAX_BATCH_BYTES: Final = 256 * 1024
"""A quarter of what a request may have: its entries are a little longer than the orders."""

MAX_SHARED_BYTES: Final = share.MAX_ENTRIES_BYTES - 256
"""A larger order travels alone as JSON-RPC; an entry is at most 256 bytes longer than the order."""

ASK_AGAIN_S: Final = 300.0
"""A peer that spoke JSON-RPC is asked so often whether it has become one of our nodes."""

UNKNOWN_PEER: Final = "unknown peers can't send to the"
"""The Go proxy's answer until its own list of peers names us: at most its refresh of 30 s."""

CLOCK_AGAIN_S: Final = 10.0
"""A peer that finds our time wrong gets JSON-RPC, which says none, and is asked again so often."""

_REMEMBERED_BATCHES: Final = 16
"""Peers that are equally fast take equal batches: more than can be under way in that time."""

_BUSY: Final = frozenset({429, 502, 503, 504})
_LATER: Final = frozenset({401, 403, 408, 421, 500})
_NOT_SHARING: Final = frozenset({200, 400, 404, 405, 415})
_OK: Final = 200
_MAX_SAID_CHARS: Final = 200
"""Of a reason in the log: one line, whatever a peer writes."""


class Verdict(Enum):
    """What an answer means for the orders of its request."""

    DELIVERED = "delivered"
    REFUSED = "refused"
    LATER = "later"
    """These orders again after a delay; others meanwhile."""
    BUSY = "busy"
    """Nothing to this destination for a delay."""
    AGAIN = "again"
    """At once, each order alone or in another form."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """The verdict on a request."""

    verdict: Verdict
    refused: frozenset[int] = frozenset()
    """Indices of orders that are not wanted although the rest was delivered."""
    later: frozenset[int] = frozenset()
    """Indices of orders to be sent again although the rest was delivered."""
    said: str = ""
    """Why, as the destination puts it; for the log."""
    ahead_s: float | None = None
    """Our time less the destination's, where it says its own."""
    clock_refused: bool = False
    """Whether it refused the request for its time."""


@dataclass(frozen=True, slots=True)
class Request:
    """What goes to a destination, and how its answer is read."""

    data: bytes
    """Head and body."""
    judge: Callable[[Answer], Judgement]


class Form(Protocol):
    """Makes requests."""

    @property
    def max_orders(self) -> int:
        """Most orders in the next request."""

    @property
    def max_bytes(self) -> int:
        """Most bytes of orders in one request, unless a single one is larger."""

    def encode(self, tickets: Sequence[Ticket]) -> Request:
        """Return the request that carries these orders."""


class JsonRpcForm:
    """JSON-RPC over HTTP, one order per request."""

    max_orders = 1
    max_bytes = 0

    def __init__(self, *, host: str, path: str = "/") -> None:
        """Prepare what all requests share.

        Args:
            host: Value of the Host header.
            path: Where to post.
        """
        self._head = (
            f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
        ).encode("ascii")

    def encode(self, tickets: Sequence[Ticket]) -> Request:
        """Return the request of the one ticket."""
        (ticket,) = tickets
        parcel = ticket.parcel
        data = b"%bX-Flashbots-Signature: %b\r\n%bContent-Length: %d\r\n\r\n%b" % (
            self._head,
            parcel.signature.encode("ascii"),
            b"X-BuilderNet-Priority: %b\r\nX-BuilderNet-SentAtUs: %d\r\n"
            % (parcel.order.priority.encode("ascii"), time_ns() // 1000),
            len(parcel.body),
            parcel.body,
        )
        return Request(data, judge_json_rpc)


class BatchEncoder:
    """Makes and signs shared requests; equal batches for several peers are made once."""

    def __init__(self, key: SigningKey) -> None:
        """Keep the node's key."""
        self._key = key
        self._made: OrderedDict[tuple[int, ...], tuple[tuple[Parcel, ...], int, bytes]] = (
            OrderedDict()
        )

    def encode(self, parcels: tuple[Parcel, ...]) -> bytes:
        """Return a signed body; parcels fit one request."""
        name = tuple(map(id, parcels))  # the parcels are kept beside it, so no id is used again
        now_s = int(time())
        known = self._made.get(name)
        if known is not None and known[1] == now_s:  # its time must not be an earlier one
            return known[2]
        body = share.encode_request(
            [share.encode_entry(parcel.order, now_s=now_s) for parcel in parcels],
            key=self._key,
            target_block=max(parcel.order.target_block or 0 for parcel in parcels),
            timestamp=now_s,
        )
        self._made[name] = parcels, now_s, body
        if len(self._made) > _REMEMBERED_BATCHES:
            self._made.popitem(last=False)
        return body


class NodeForm:
    """Batches for our nodes; JSON-RPC for peers that answer as other implementations do."""

    def __init__(
        self,
        encoder: BatchEncoder,
        *,
        host: str,
        on_json_rpc: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """Begin with batches.

        Args:
            encoder: Shared by all peers.
            host: Value of the Host header.
            on_json_rpc: Called when the peer turns out not to know batches.
            clock: Monotonic seconds.
        """
        self._encoder = encoder
        self._json_rpc = JsonRpcForm(host=host)
        self._head = (
            f"POST {share.PATH} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
        ).encode("ascii")
        self._on_json_rpc = on_json_rpc
        self._clock = clock
        self._json_rpc_until_s = 0.0

    @property
    def is_sharing(self) -> bool:
        """Whether the next request is a batch."""
        return self._clock() >= self._json_rpc_until_s

    @property
    def max_orders(self) -> int:
        """Most orders in the next request."""
        return MAX_BATCH_ORDERS if self.is_sharing else 1

    @property
    def max_bytes(self) -> int:
        """Most bytes of orders in one request."""
        return MAX_BATCH_BYTES

    def encode(self, tickets: Sequence[Ticket]) -> Request:
        """Return a batch, or the JSON-RPC request of a single ticket."""
        alone = len(tickets) == 1
        if alone and (not self.is_sharing or tickets[0].size > MAX_SHARED_BYTES):
            return self._json_rpc.encode(tickets)
        body = self._encoder.encode(tuple(ticket.parcel for ticket in tickets))
        data = b"%bX-BuilderNet-SentAtUs: %d\r\nContent-Length: %d\r\n\r\n%b" % (
            self._head,
            time_ns() // 1000,
            len(body),
            body,
        )
        return Request(data, lambda answer: self._judge(answer, alone=alone))

    def _judge(self, answer: Answer, *, alone: bool) -> Judgement:
        status = answer.status
        if status not in _NOT_SHARING:
            return Judgement(judge_status(status))
        try:
            response = share.parse_response(answer.body)
        except ShareError:
            self._json_rpc_until_s = self._clock() + ASK_AGAIN_S
            self._on_json_rpc()
            return Judgement(Verdict.AGAIN)
        ahead_s = time() - response.timestamp
        if response.success and status == _OK:
            later = {r.index for r in response.refused if r.code == RefusalCode.BUSY}
            errors = {r.index: r.error for r in response.refused if r.index not in later}
            said = next(iter(errors.values()), "")[:_MAX_SAID_CHARS]
            return Judgement(Verdict.DELIVERED, frozenset(errors), frozenset(later), said, ahead_s)
        said = (response.error or "")[:_MAX_SAID_CHARS]
        if response.code == RefusalCode.CLOCK:
            self._json_rpc_until_s = self._clock() + CLOCK_AGAIN_S
            return Judgement(Verdict.AGAIN, said=said, ahead_s=ahead_s, clock_refused=True)
        # One order that breaks a rule of the request as a whole must not take others with it.
        return Judgement(Verdict.REFUSED if alone else Verdict.AGAIN, said=said)


class _RpcError(msgspec.Struct):
    message: str = ""
    code: Any = 0
    """A number; what is none is no reason to misread the rest."""


class _RpcAnswer(msgspec.Struct):
    error: _RpcError | None = None


_RPC_ANSWER: Final = msgspec.json.Decoder(_RpcAnswer)


def judge_json_rpc(answer: Answer) -> Judgement:
    """Read the status and the JSON-RPC error of an answer to one order."""
    if answer.status != _OK:
        return Judgement(judge_status(answer.status))
    try:
        error = _RPC_ANSWER.decode(answer.body).error
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return Judgement(Verdict.LATER)
    if error is None:
        return Judgement(Verdict.DELIVERED)
    waiting = error.code == RESOURCE_UNAVAILABLE or error.message.startswith(UNKNOWN_PEER)
    verdict = Verdict.LATER if waiting else Verdict.REFUSED
    return Judgement(verdict, said=error.message[:_MAX_SAID_CHARS])


def judge_status(status: int) -> Verdict:
    """Say what a status other than 200 means, whatever the body."""
    if status in _BUSY:
        return Verdict.BUSY
    if status in _LATER or status > 500:
        return Verdict.LATER
    return Verdict.REFUSED
