# SPDX-License-Identifier: MIT
"""Health of the hub: alive, ready, drained. Reads do not need a database to be answered."""

import asyncio
from typing import Final

from aiohttp import web

from buildernet.builder_hub.errors import ForbiddenError
from buildernet.builder_hub.hub import HUB, Hub
from buildernet.builder_hub.identity import is_forwarded, require_proxy
from buildernet.net.health import READINESS, livez
from buildernet.net.metrics import metrics

DRAINED: Final = "drained"


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
        await asyncio.sleep(hub.config.drain_seconds)
    return web.Response()


async def undrain(request: web.Request) -> web.Response:
    """Become ready again."""
    _operator(request).drain.is_drained = False
    return web.Response()


def add_health(app: web.Application) -> None:
    """Add `/livez` and `/readyz`."""
    app.router.add_get("/livez", livez)
    app.router.add_get("/readyz", readyz)


def _operator(request: web.Request) -> Hub:
    """Return the hub to someone on the hub's own side; whoever comes through the proxy is not.

    Raises:
        ForbiddenError: The request was forwarded for somebody.
        InstanceRefusedError: It comes from another machine.
    """
    hub = request.app[HUB]
    if is_forwarded(request):
        raise ForbiddenError("instances cannot drain the hub")
    require_proxy(request, hub.trusted)
    return hub


async def _reason(hub: Hub) -> str | None:
    if hub.drain.is_drained:
        return DRAINED
    cause = await hub.check_database()
    return None if cause is None else f"database: {cause}"
