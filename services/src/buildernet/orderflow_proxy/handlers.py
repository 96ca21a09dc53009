# SPDX-License-Identifier: MIT
"""HTTP in, domain call, HTTP out."""

import logging
from dataclasses import dataclass
from typing import ClassVar, Final

from aiohttp import web

from buildernet.net.address import is_local
from buildernet.net.health import READINESS
from buildernet.net.jsonrpc import INVALID_REQUEST, JsonRpcError, encode_error
from buildernet.orderflow_proxy import share
from buildernet.orderflow_proxy.bodies import FREE_BYTES, BodyBudget, Gunzip
from buildernet.orderflow_proxy.clock import ArrivalClock
from buildernet.orderflow_proxy.errors import RefusalCode, ShareError
from buildernet.orderflow_proxy.metrics import ReceiverMetrics
from buildernet.orderflow_proxy.order import (
    ArchiveFullError,
    Delivery,
    NotReadyError,
    Recorder,
)
from buildernet.orderflow_proxy.rpc import SENT_AT_HEADER, OrderRpc, Reply
from buildernet.orderflow_proxy.sharing import Sharing

_JSON: Final = "application/json"
_RETRY_AFTER_S: Final = {429: "1", 503: "1"}
_MAX_CLIENT_CHARS: Final = 64
_MAX_LATENCY_S: Final = 600.0
"""A larger difference is a wrong clock, not a latency."""
_US: Final = 1_000_000

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Side:
    """What the handlers of one listener need."""

    name: str
    """`user` or `system`."""
    rpc: OrderRpc
    sharing: Sharing | None
    bodies: BodyBudget
    max_body_bytes: int
    accept_gzip: bool
    trust_forwarded_for: bool
    metrics: ReceiverMetrics
    clock: ArrivalClock
    delivery: Delivery
    recorder: Recorder


SIDE: Final = web.AppKey("side", Side)


class _TransportError(JsonRpcError):
    code: ClassVar[int] = INVALID_REQUEST


class BodyTooLargeError(_TransportError):
    """A body is larger than its listener or route takes."""

    status = 413


class ContentError(_TransportError):
    """A body is declared as something other than plain JSON."""

    status = 415


async def post_rpc(request: web.Request) -> web.Response:
    """Answer a JSON-RPC request or batch."""
    side = request.app[SIDE]
    try:
        body = await _read_json(request, limit=side.max_body_bytes, side=side)
    except JsonRpcError as exc:
        reply = Reply(exc.status, encode_error(None, exc), exc.with_traceback(None))
    else:
        try:
            side.metrics.body_bytes[side.name].observe(len(body))
            _observe_latency(request, side)
            reply = await side.rpc.answer(body, request.headers)
        finally:
            side.bodies.give(max(0, len(body) - FREE_BYTES))
    if reply.error is not None:
        _refused(request, side, type(reply.error).__name__, reply.error)
    return _answer(reply.status, reply.body)


async def post_share(request: web.Request) -> web.Response:
    """Answer a request to share orders."""
    side = request.app[SIDE]
    if side.sharing is None:
        raise web.HTTPNotFound
    try:
        body = await _read_json(request, limit=share.MAX_REQUEST_BYTES, side=side)
        try:
            side.metrics.body_bytes["share"].observe(len(body))
            _observe_latency(request, side)
            return _answer(200, await side.sharing.receive(body))
        finally:
            side.bodies.give(max(0, len(body) - FREE_BYTES))
    except (ShareError, JsonRpcError) as exc:
        _refused(request, side, type(exc).__name__, exc)
        code = exc.refusal if isinstance(exc, ShareError) else RefusalCode.NONE
        answer = share.encode_response(now_s=side.clock.wall_s(), error=exc.message, code=code)
        return _answer(exc.status, answer)


async def readyz(request: web.Request) -> web.Response:
    """Answer 200 when orders would reach the builder and none would be lost, else 503 and why."""
    side = request.app[SIDE]
    reason = request.app[READINESS].reason
    try:
        side.delivery.check_ready()
        side.recorder.check_room()
    except (NotReadyError, ArchiveFullError) as exc:
        reason = reason or exc.message
    if reason is None:
        return web.json_response({"status": "ok"})
    return web.json_response({"status": "unavailable", "reason": reason}, status=503)


async def _read_json(request: web.Request, *, limit: int, side: Side) -> bytes:
    """Return the body; the caller gives back what it took of `side.bodies`, all above `FREE_BYTES`.

    Raises:
        ContentError: It is declared as another type than JSON, or compressed without leave.
        BodyTooLargeError: It is larger than `limit`.
        BodiesFullError: Others leave no room for it.
        CompressionError: It is not what it says.
    """
    declared = request.headers.get("Content-Type", _JSON)
    if declared != _JSON and request.content_type != _JSON:
        raise ContentError(f"Invalid Request: content type must be {_JSON}")
    encoding = request.headers.get("Content-Encoding", "identity").lower()
    if encoding != "identity" and not (encoding == "gzip" and side.accept_gzip):
        raise ContentError("Invalid Request: compressed bodies are not taken")
    if (request.content_length or 0) > limit:
        raise BodyTooLargeError(f"request body is too big, max size: {limit}")
    gunzip = Gunzip(limit=limit) if encoding == "gzip" else None
    content, parts, size, held = request.content, [], 0, 0
    try:
        while not content.at_eof():
            chunk = await content.readany()
            part = chunk if gunzip is None else gunzip.feed(chunk)
            size += len(part)
            if size > limit:
                raise BodyTooLargeError(f"request body is too big, max size: {limit}")
            if size - FREE_BYTES > held:
                side.bodies.take(size - FREE_BYTES - held)
                held = size - FREE_BYTES
            parts.append(part)
        if gunzip is not None:
            gunzip.finish()
    except BaseException:
        side.bodies.give(held)
        parts.clear()  # the error's traceback has this frame, and may wait for the collector
        raise
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _answer(status: int, body: bytes) -> web.Response:
    headers = {"Retry-After": _RETRY_AFTER_S[status]} if status in _RETRY_AFTER_S else None
    answer = web.Response(status=status, body=body, content_type=_JSON, headers=headers)
    if status == BodyTooLargeError.status:
        answer.force_close()
    return answer


def _refused(request: web.Request, side: Side, reason: str, error: Exception) -> None:
    side.metrics.refuse(side=side.name, reason=reason)
    _log.debug(
        "request_refused side=%s client=%s reason=%s detail=%s",
        side.name,
        client_name(request, trust=side.trust_forwarded_for),
        reason,
        error,
    )


def client_name(request: web.Request, *, trust: bool) -> str:
    """Return who is connected, for the log: an address, or what HAProxy in front says.

    Only the last name that a proxy on this machine appended is believed, and only for the log:
    nothing is allowed or refused by it.
    """
    remote = request.remote or "-"
    named = request.headers.get("X-Forwarded-For", "").rpartition(",")[2].strip()
    if not (trust and is_local(remote) and named):
        return remote
    return named.encode("ascii", "backslashreplace").decode()[:_MAX_CLIENT_CHARS]


def _observe_latency(request: web.Request, side: Side) -> None:
    """Note how long a peer's request was under way, by both clocks."""
    sent = request.headers.get(SENT_AT_HEADER, "")
    if side.name != "system" or not (sent.isascii() and sent.isdigit() and len(sent) < 20):
        return
    seconds = side.clock.wall_s() - int(sent) / _US
    if 0 <= seconds <= _MAX_LATENCY_S:
        side.metrics.peer_latency.observe(seconds)
