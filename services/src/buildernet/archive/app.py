# SPDX-License-Identifier: MIT
"""The two applications of the archive: one for nodes, one for its operator."""

from dataclasses import dataclass
from typing import Final

from aiohttp import web

from buildernet.archive import handlers, operator_handlers
from buildernet.archive.config import ArchiveConfig
from buildernet.archive.handlers import Intake
from buildernet.archive.reader import Reader
from buildernet.archive.senders import Senders
from buildernet.archive.writer import Writer
from buildernet.net.archive_stream import RECORDS_PATH
from buildernet.net.health import livez, readyz
from buildernet.net.limits import ServerLimits
from buildernet.net.metrics import METRICS, HttpMetrics
from buildernet.net.server import bare_application, new_application

_EXPORT_SECONDS: Final = 3700.0
"""A little more than the engine gives an export."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What the applications work with."""

    senders: Senders
    writer: Writer
    reader: Reader
    token: bytes = b""
    """What an operator must show; empty for nothing."""


def build_operator_app() -> web.Application:
    """Return the operator's application; its registry takes all metrics of the archive."""
    app = new_application("archive", limits=ServerLimits(request_timeout_s=_EXPORT_SECONDS))
    app.router.add_get("/api/v1/{table}", operator_handlers.get_rows, allow_head=False)
    app.router.add_get("/api/v1/{table}/export", operator_handlers.get_export, allow_head=False)
    return app


def build_app(config: ArchiveConfig, parts: Parts, *, operator: web.Application) -> web.Application:
    """Return the nodes' application and give the operator's what it works with."""
    limits = config.limits
    metrics: HttpMetrics = operator[METRICS]
    app = bare_application(
        limits=ServerLimits(
            max_body_bytes=limits.max_body_bytes,
            max_connections=limits.max_connections,
            idle_timeout_s=float(limits.idle_timeout_s),
            request_timeout_s=float(limits.request_timeout_s),
        ),
        metrics=metrics,
    )
    intake = Intake(
        parts.senders,
        parts.writer,
        max_requests=limits.max_requests,
        registry=metrics.registry,
    )
    app[handlers.INTAKE] = intake

    async def close_intake(_app: web.Application) -> None:
        intake.close()

    app.on_cleanup.append(close_intake)
    app.router.add_get("/livez", livez)
    app.router.add_get("/readyz", readyz)
    app.router.add_post(RECORDS_PATH, handlers.post_records)
    app.router.add_post("/", handlers.post_json_rpc)
    operator[operator_handlers.READER] = parts.reader
    operator[operator_handlers.TOKEN] = parts.token
    return app
