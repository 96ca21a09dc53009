# SPDX-License-Identifier: MIT
"""The application: routes, state, and the FIFO that lives as long as the server."""

from collections.abc import AsyncIterator
from functools import partial

from aiohttp import web

from buildernet.net.health import livez
from buildernet.net.limits import ServerLimits
from buildernet.net.metrics import METRICS
from buildernet.net.server import new_application
from buildernet.system_api import handlers
from buildernet.system_api.config import SystemApiConfig
from buildernet.system_api.events import OWN_PREFIX, EventLog
from buildernet.system_api.fifo import Fifo

_MS: int = 1000


def build_app(config: SystemApiConfig) -> web.Application:
    """Return the application; nothing is opened before it is served."""
    general = config.general
    limits = ServerLimits(
        idle_timeout_s=general.http_read_timeout_ms / _MS,
        request_timeout_s=general.http_write_timeout_ms / _MS,
    )
    app = new_application("system_api", limits=limits)
    registry = app[METRICS].registry
    events = EventLog(general.log_max_entries, registry=registry)
    fifo = Fifo(general.pipe_file, partial(events.append, source="fifo"), registry=registry)
    app[handlers.EVENTS] = events
    app[handlers.MEASURED_BOOT] = general.measured_boot_dir

    async def read_fifo(_app: web.Application) -> AsyncIterator[None]:
        fifo.open()
        events.append(f"{OWN_PREFIX}started", source="own")
        yield
        fifo.close()

    app.cleanup_ctx.append(read_fifo)
    app.router.add_get("/", livez)
    # A GET with an effect, as its predecessor has it; HEAD must not have one.
    app.router.add_get("/api/v1/new_event", handlers.new_event, allow_head=False)
    app.router.add_get("/api/v1/events", handlers.get_events, allow_head=False)
    app.router.add_get("/logs", handlers.get_logs, allow_head=False)
    app.router.add_get("/api/v1/measured-boot/registers", handlers.get_registers)
    app.router.add_get("/api/v1/measured-boot/event-log", handlers.get_event_log)
    return app
