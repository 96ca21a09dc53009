# SPDX-License-Identifier: MIT
"""What wraps every handler: timing, deadline, and errors as JSON `{"code": …, "message": …}`."""

import asyncio
import logging
from time import monotonic
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from buildernet.net.connections import ConnectionGuard
from buildernet.net.errors import RequestError
from buildernet.net.limits import ServerLimits
from buildernet.net.metrics import HttpMetrics

LIMITS: Final = web.AppKey("limits", ServerLimits)
GUARD: Final = web.AppKey("guard", ConnectionGuard)

_CLIENT_GONE: Final = 499
"""Counted for a request whose client left before the answer; nginx uses the same number."""

_CLOSING: Final = frozenset({408, 413})
"""After these the rest of the request's body may still be under way: the connection ends."""

_log = logging.getLogger(__name__)


def around(limits: ServerLimits, metrics: HttpMetrics, guard: ConnectionGuard) -> Middleware:
    """Return the one middleware of a server: several would each cost a coroutine per request.

    It counts the request, keeps its connection from being taken for idle, gives the handler a
    limited time, refuses a body that says it is too large, and turns whatever the handler raises
    into a JSON answer.
    """

    @web.middleware
    async def serve(request: web.Request, handler: Handler) -> web.StreamResponse:
        started, status = monotonic(), _CLIENT_GONE
        timer = asyncio.timeout(limits.request_timeout_s)
        connection = guard.enter(request)
        try:
            try:
                _check_length(request, limits.max_body_bytes)
                async with timer:
                    response = await handler(request)
            except Exception as exc:
                response = _refusal(request, exc, is_late=timer.expired())
            status = response.status
            return response
        finally:
            guard.leave(connection)
            seconds = monotonic() - started
            metrics.observe(request, status=status, seconds=seconds)
            _log.debug(
                "request method=%s path=%s status=%d seconds=%.4f",
                request.method,
                request.path,
                status,
                seconds,
            )

    return serve


def _check_length(request: web.Request, limit: int) -> None:
    length = request.content_length or 0
    if length > limit:
        raise web.HTTPRequestEntityTooLarge(limit, length)


def _refusal(request: web.Request, error: Exception, *, is_late: bool) -> web.Response:
    """Return what a request that failed is answered with; log once what was not expected.

    Raises:
        Exception: The error itself, where it is an answer of another kind or nobody is left.
    """
    if isinstance(error, TimeoutError) and is_late:
        _log.info("request_timeout path=%s", request.path)
        error = web.HTTPRequestTimeout()
    if isinstance(error, RequestError):
        _log.info("request_refused path=%s status=%d reason=%s", request.path, error.status, error)
        return json_error(error.status, error.message)
    if isinstance(error, web.HTTPException):
        if error.status < web.HTTPBadRequest.status_code:
            raise error
        headers = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else None
        answer = json_error(error.status, error.reason, headers=headers)
        if error.status in _CLOSING:
            answer.force_close()
        return answer
    if isinstance(error, ConnectionError):
        raise error  # the client went away: there is nobody to answer
    _log.error("request_failed method=%s path=%s", request.method, request.path, exc_info=error)
    return json_error(500, "Internal server error")


def json_error(status: int, message: str, *, headers: dict[str, str] | None = None) -> web.Response:
    """Return the error answer every service gives."""
    body = {"code": status, "message": message}
    return web.json_response(body, status=status, headers=headers)
