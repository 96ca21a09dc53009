# SPDX-License-Identifier: MIT
"""What wraps every handler: timing, deadline, and errors as JSON `{"code": …, "message": …}`."""

import asyncio
import logging
from time import monotonic
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler

from buildernet.net.connections import ConnectionGuard
from buildernet.net.errors import RequestError
from buildernet.net.limits import ServerLimits
from buildernet.net.metrics import METRICS

LIMITS: Final = web.AppKey("limits", ServerLimits)
GUARD: Final = web.AppKey("guard", ConnectionGuard)

_CLIENT_GONE: Final = 499
"""Counted for a request whose client left before the answer; nginx uses the same number."""

_CLOSING: Final = frozenset({408, 413})
"""After these the rest of the request's body may still be under way: the connection ends."""

_log = logging.getLogger(__name__)


@web.middleware
async def observe(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Outermost: count the request and keep its connection from being taken for idle."""
    started = monotonic()
    status = _CLIENT_GONE
    try:
        with request.app[GUARD].handling(request):
            response = await handler(request)
        status = response.status
        return response
    finally:
        seconds = monotonic() - started
        request.app[METRICS].observe(request, status=status, seconds=seconds)
        _log.debug(
            "request method=%s path=%s status=%d seconds=%.4f",
            request.method,
            request.path,
            status,
            seconds,
        )


@web.middleware
async def errors_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn whatever a handler raises into a JSON answer; log once what was not expected."""
    try:
        return await handler(request)
    except RequestError as exc:
        _log.info("request_refused path=%s status=%d reason=%s", request.path, exc.status, exc)
        return json_error(exc.status, exc.message)
    except web.HTTPException as exc:
        if exc.status < web.HTTPBadRequest.status_code:
            raise
        headers = {"Allow": exc.headers["Allow"]} if "Allow" in exc.headers else None
        answer = json_error(exc.status, exc.reason, headers=headers)
        if exc.status in _CLOSING:
            answer.force_close()
        return answer
    except ConnectionError:
        raise  # the client went away: there is nobody to answer
    except Exception:
        _log.exception("request_failed method=%s path=%s", request.method, request.path)
        return json_error(500, "Internal server error")


@web.middleware
async def deadline(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Give a handler a limited time, and refuse a body that says it is too large."""
    limits = request.app[LIMITS]
    if (request.content_length or 0) > limits.max_body_bytes:
        raise web.HTTPRequestEntityTooLarge(limits.max_body_bytes, request.content_length or 0)
    try:
        async with asyncio.timeout(limits.request_timeout_s) as timer:
            return await handler(request)
    except TimeoutError:
        if not timer.expired():
            raise
        _log.info("request_timeout path=%s", request.path)
        raise web.HTTPRequestTimeout from None


def json_error(status: int, message: str, *, headers: dict[str, str] | None = None) -> web.Response:
    """Return the error answer every service gives."""
    body = {"code": status, "message": message}
    return web.json_response(body, status=status, headers=headers)
