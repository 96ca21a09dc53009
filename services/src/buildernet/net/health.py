# SPDX-License-Identifier: MIT
"""Health: `/livez` says the process answers, `/readyz` that it does its work."""

from typing import Final

from aiohttp import web

STARTING: Final = "starting"
STOPPING: Final = "stopping"


class Readiness:
    """Why the service is not ready, or None when it is."""

    __slots__ = ("reason",)

    def __init__(self) -> None:
        self.reason: str | None = STARTING


READINESS: Final = web.AppKey("readiness", Readiness)


async def livez(_request: web.Request) -> web.Response:
    """Answer 200 as long as the event loop turns."""
    return web.json_response({"status": "ok"})


async def readyz(request: web.Request) -> web.Response:
    """Answer 200 when ready, else 503 with the reason."""
    reason = request.app[READINESS].reason
    if reason is None:
        return web.json_response({"status": "ok"})
    return web.json_response({"status": "unavailable", "reason": reason}, status=503)
