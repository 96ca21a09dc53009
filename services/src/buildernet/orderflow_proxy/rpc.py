# SPDX-License-Identifier: MIT
"""One signed JSON-RPC body of one side, from bytes to the bytes of its answer; no HTTP here.

Reference: docs/protocols/orderflow-json-rpc.md.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from buildernet.ethereum.address import Address
from buildernet.ethereum.errors import SignatureError
from buildernet.ethereum.signature import find_signature, verify_body
from buildernet.net import jsonrpc
from buildernet.net.jsonrpc import (
    InternalError,
    InvalidParamsError,
    JsonRpcError,
    Request,
    encode_error,
    encode_result,
)
from buildernet.orderflow_proxy.errors import (
    ArchiveBehindError,
    BusyError,
    RateLimitedError,
    SignatureRefusedError,
    UnknownSenderError,
)
from buildernet.orderflow_proxy.intake import Intake, Sender
from buildernet.orderflow_proxy.order import (
    ArchiveFullError,
    DeliveryFullError,
    OrderPriority,
    OrderRefusedError,
    OrderSource,
    Peers,
    UnknownPeerError,
)
from buildernet.orderflow_proxy.orders.errors import UnknownMethodError
from buildernet.orderflow_proxy.orders.parsed import ParsedOrder
from buildernet.orderflow_proxy.rate_limit import OrderRateError

PRIORITY_HEADER: Final = "X-BuilderNet-Priority"
SENT_AT_HEADER: Final = "X-BuilderNet-SentAtUs"

FLASHBOTS: Final = "flashbots"
USER: Final = "user-request"

_INLINE_BODY_BYTES: Final = 128 * 1024
"""Verified in 0.35 ms, parsed in 7 at worst. What is larger goes to a thread, which costs 0.1 ms
and holds nobody up."""

_BATCH_SHARE: Final = 8
"""Orders of a batch between which others get their turn."""

_BUNDLES: Final = frozenset({"eth_sendBundle", "mev_sendBundle"})

_log = logging.getLogger(__name__)

Headers = Mapping[str, str]
"""Case-insensitive, as aiohttp's are."""

FindSender = Callable[[Address, Headers], Sender]


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer and its HTTP status."""

    status: int
    body: bytes
    error: JsonRpcError | None = None
    """What refused the request as a whole."""


class OrderRpc:
    """Serves one side."""

    def __init__(self, intake: Intake, *, find_sender: FindSender) -> None:
        """Prepare.

        Args:
            intake: Takes the orders.
            find_sender: Says who a signer is on this side; raises `JsonRpcError` for a stranger.
        """
        self._intake = intake
        self._find_sender = find_sender

    async def answer(self, body: bytes, headers: Headers) -> Reply:
        """Verify, parse and take what a body holds, as of now: verifying may take a thread."""
        arrived_us = self._intake.arrive()
        try:
            signer = await _verify(body, headers)
            sender = self._find_sender(signer, headers)
            requests = jsonrpc.parse_requests(body)
        except JsonRpcError as exc:
            return Reply(exc.status, encode_error(exc.request_id, exc), exc)
        if isinstance(requests, Request):
            if len(body) > _INLINE_BODY_BYTES:
                return await self._large(requests, sender, arrived_us)
            return self._one(requests, sender, arrived_us)
        answers = []
        for index, request in enumerate(requests, start=1):
            answers.append(self._one(request, sender, arrived_us + index).body)
            if not index % _BATCH_SHARE:
                await asyncio.sleep(0)
        return Reply(200, jsonrpc.encode_batch(answers))

    def _one(self, request: Request, sender: Sender, arrived_us: int) -> Reply:
        try:
            parsed = self._intake.take(request.method, _params(request), sender, arrived_us)
        except Exception as exc:  # one order of a batch must not take the others' answers with it
            return _refused(request, exc)
        return Reply(200, encode_result(request.id, _result(parsed)))

    async def _large(self, request: Request, sender: Sender, arrived_us: int) -> Reply:
        """As `_one`, for an order that would hold everyone up."""
        params = _params(request)
        try:
            parsed = await self._intake.take_large(request.method, params, sender, arrived_us)
        except Exception as exc:
            return _refused(request, exc)
        return Reply(200, encode_result(request.id, _result(parsed)))


def as_user(signer: Address, _headers: Headers) -> Sender:
    """Take anyone as a user."""
    return Sender(signer, OrderSource.USER, USER)


def as_system(peers: Peers) -> FindSender:
    """Take peers and Flashbots, with the priority that they name."""

    def find(signer: Address, headers: Headers) -> Sender:
        try:
            name = peers.authorise(signer)
        except UnknownPeerError as exc:
            raise UnknownSenderError("unknown peers can't send to the system address") from exc
        source = OrderSource.FLASHBOTS if name == FLASHBOTS else OrderSource.PEER
        return Sender(signer, source, name, read_priority(headers))

    return find


def read_priority(headers: Headers) -> OrderPriority | None:
    """Return the class that a peer names; whatever the case of header and value."""
    named = headers.get(PRIORITY_HEADER, "").strip().lower()
    if named in set(OrderPriority):
        return OrderPriority(named)
    return OrderPriority.HIGH if headers.get("high_prio", "").lower() == "true" else None


async def _verify(body: bytes, headers: Headers) -> Address:
    header = find_signature(headers)
    try:
        if len(body) <= _INLINE_BODY_BYTES:
            return verify_body(header, body)
        return await asyncio.to_thread(verify_body, header, body)
    except SignatureError as exc:
        cause = exc.message.removeprefix("invalid signature provided: ")
        raise SignatureRefusedError(f"Invalid signature: {cause}") from exc


def _params(request: Request) -> list[bytes]:
    """Return the parameter, or none: the order is then refused and counted like every other."""
    try:
        return [jsonrpc.single_param(request)]
    except InvalidParamsError:
        return []


# Any: what msgspec encodes; null, a text or an object.
def _result(parsed: ParsedOrder) -> Any:
    if parsed.method == "eth_sendRawTransaction":
        return "0x" + parsed.hash.hex()
    if parsed.method in _BUNDLES:
        return {"bundleHash": "0x" + parsed.hash.hex()}
    return None


def _refused(request: Request, error: Exception) -> Reply:
    if isinstance(error, OrderRefusedError):
        said = _translate(error, request.method)
    else:
        _log.error("order_failed method=%s", request.method[:64], exc_info=error)
        said = InternalError("Internal error")
    return Reply(said.status, encode_error(request.id, said))


def _translate(error: OrderRefusedError, method: str) -> JsonRpcError:
    if isinstance(error, UnknownMethodError):
        return jsonrpc.unknown_method(method)
    if isinstance(error, OrderRateError):
        return RateLimitedError(error.message)
    if isinstance(error, ArchiveFullError):
        return ArchiveBehindError(error.message)
    if isinstance(error, DeliveryFullError):
        return BusyError(error.message)
    return InvalidParamsError(f"Invalid params: {error.message}")
