# SPDX-License-Identifier: MIT
"""What stands before every route of the admin listener: who asks, and from which page.

A browser sends a remembered password with every request, also with one that another site's page
makes. So whatever says in its headers that it comes from another site is refused.
"""

import logging
from typing import Final
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from buildernet.builder_hub.basic_auth import WINDOW_S, BasicAuth
from buildernet.builder_hub.errors import ForbiddenError, TooManyLoginsError
from buildernet.builder_hub.hub import HUB
from buildernet.builder_hub.journal import Actor
from buildernet.net.middleware import json_error

NO_AUTH_USER: Final = "unauthenticated"
"""Who does something when authentication is off."""

ACTOR: Final = web.RequestKey("actor", Actor)

_OPEN: Final = frozenset({"/livez", "/readyz"})
_SAME: Final = frozenset({"same-origin", "none"})
_READING: Final = frozenset({"GET", "HEAD"})
_LOCAL: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})

_log = logging.getLogger(__name__)


def guard(auth: BasicAuth | None) -> Middleware:
    """Return the middleware; None lets in everybody who reaches the loopback interface."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path in _OPEN:
            return await handler(request)
        address = request.remote or ""
        if auth is None:
            _require_local_name(request)
            user = NO_AUTH_USER
        else:
            try:
                found = await auth.check(request.headers.get("Authorization", ""), address)
            except TooManyLoginsError as exc:
                wait = {"Retry-After": str(int(WINDOW_S))}
                return json_error(exc.status, exc.message, headers=wait)
            if found is None:
                return _unauthorized(request, address)
            user = found
        _require_same_site(request)
        request[ACTOR] = Actor(user, address)
        return await handler(request)

    return middleware


def _unauthorized(request: web.Request, address: str) -> web.Response:
    if "Authorization" in request.headers:
        request.app[HUB].metrics.logins_failed.inc()
        _log.warning("admin_login_failed peer=%s path=%s", address, request.path)
    return web.Response(
        status=401, text="Unauthorized\n", headers={"WWW-Authenticate": "Basic realm=admin"}
    )


def _require_same_site(request: web.Request) -> None:
    """Raise unless a changing request comes from our own page, or from no page at all."""
    if request.method in _READING:
        return
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None and site not in _SAME:
        raise ForbiddenError("the request comes from another site's page")
    origin = request.headers.get("Origin")
    if origin is not None and urlsplit(origin).netloc != request.host:
        raise ForbiddenError("the request comes from another site's page")


def _require_local_name(request: web.Request) -> None:
    """Raise unless the host is named as this machine: a site's own name may point here."""
    host = request.host
    name = host if host.endswith("]") else host.rpartition(":")[0] or host
    if name not in _LOCAL:
        raise ForbiddenError("without authentication the host must be localhost")
