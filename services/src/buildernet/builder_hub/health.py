# SPDX-License-Identifier: MIT
"""Health of the hub: alive, ready, drained. Reads do not need a database to be answered."""

import asyncio
import logging
from typing import Final

from aiohttp import web

from buildernet.builder_hub.errors import ForbiddenError
from buildernet.builder_hub.hub import HUB, Hub
from buildernet.builder_hub.identity import is_forwarded, require_proxy
from buildernet.builder_hub.journal import Actor, write_audit
from buildernet.net.errors import RequestError
from buildernet.net.health import READINESS, livez
from buildernet.net.metrics import metrics

DRAINED: Final = "drained"
OPERATOR: Final = "operator"
"""Who drains: someone on the hub's own machine, without a name."""

_log = logging.getLogger(__name__)


async def readyz(request: web.Request) -> web.Response:
    """Answer 200 when requests can be served, else 503 with the reason."""
    reason = request.app[READINESS].reason or await _reason(request.app[HUB])
    if reason is None:
        return web.json_response({"status": "ok"})
    return web.json_response({"status": "unavailable", "reason": reason}, status=503)


async def metrics_now(request: web.Request) -> web.Response:
    """Answer with every metric; the database's is asked for now, not when somebody last did."""
    await request.app[HUB].check_database()
    return await metrics(request)


async def drain(request: web.Request) -> web.Response:
    """Become unready, and answer once load balancers had time to notice."""
    hub = _operator(request)
    if not hub.drain.is_drained:
        hub.drain.is_drained = True
        await _audit(request, "drained")
        await asyncio.sleep(hub.config.drain_seconds)
    return web.Response()


async def undrain(request: web.Request) -> web.Response:
    """Become ready again."""
    hub = _operator(request)
    if hub.drain.is_drained:
        hub.drain.is_drained = False
        await _audit(request, "undrained")
    return web.Response()


def add_health(app: web.Application) -> None:
    """Add `/livez` and `/readyz`."""
    app.router.add_get("/livez", livez)
    app.router.add_get("/readyz", readyz)


def _operator(request: web.Request) -> Hub:
    """Return the hub to someone on the hub's own side; whoever comes through the proxy is not.

    Raises:
        ForbiddenError: The request was forwarded for somebody, or a page in a browser made it.
        InstanceRefusedError: It comes from another machine.
    """
    hub = request.app[HUB]
    if is_forwarded(request):
        raise ForbiddenError("instances cannot drain the hub")
    # A page of any site can make the browser of someone on this machine send a GET here.
    if request.headers.get("Sec-Fetch-Site", "none") != "none":
        raise ForbiddenError("a page in a browser cannot drain the hub")
    require_proxy(request, hub.trusted)
    return hub


async def _audit(request: web.Request, action: str) -> None:
    """Note who did it; a database that does not answer is a reason to drain, so it goes on."""
    hub, address = request.app[HUB], request.remote or ""
    _log.warning("%s peer=%s", action, address)
    try:
        async with hub.transaction() as connection:
            await write_audit(connection, Actor(OPERATOR, address), action, "hub", at_ms=hub.now_ms)
    except RequestError as exc:
        _log.warning("%s_not_audited reason=%s", action, exc)


async def _reason(hub: Hub) -> str | None:
    if hub.drain.is_drained:
        return DRAINED
    cause = await hub.check_database()
    return None if cause is None else f"database: {cause}"
