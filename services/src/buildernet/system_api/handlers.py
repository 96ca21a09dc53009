# SPDX-License-Identifier: MIT
"""What each route does: parse, call, answer."""

import asyncio
from pathlib import Path
from typing import Final

from aiohttp import web

from buildernet.base.paths import (
    MAX_EVENT_BYTES,
    MAX_EVENT_LOG_BYTES,
    MAX_REGISTERS_BYTES,
    REGISTERS,
    TPM_EVENT_LOG,
)
from buildernet.net.streaming import stream_text
from buildernet.system_api.errors import EventTooLongError, NotMeasuredError
from buildernet.system_api.events import EventLog, as_json, as_text

EVENTS: Final = web.AppKey("events", EventLog)
MEASURED_BOOT: Final = web.AppKey("measured_boot", Path)


async def new_event(request: web.Request) -> web.Response:
    """Append the query's `message`; an empty one is accepted and ignored.

    Raises:
        EventTooLongError: The message does not fit an event.
    """
    message = request.query.get("message", "")
    size = len(message.encode(errors="replace")) + 1  # as a line of the FIFO
    if size > MAX_EVENT_BYTES:
        raise EventTooLongError(f"message is {size - 1} bytes, at most {MAX_EVENT_BYTES - 1}")
    request.app[EVENTS].append(message, source="http")
    return web.Response()


async def get_events(request: web.Request) -> web.StreamResponse:
    """Answer with every event, as JSON or, with `?format=text`, as lines."""
    if request.query.get("format") == "text":
        return await get_logs(request)
    parts = as_json(request.app[EVENTS].snapshot())
    return await stream_text(request, parts, content_type="application/json")


async def get_logs(request: web.Request) -> web.StreamResponse:
    """Answer with every event as a line."""
    parts = as_text(request.app[EVENTS].snapshot())
    return await stream_text(request, parts, content_type="text/plain")


async def get_registers(request: web.Request) -> web.Response:
    """Answer with the registers read once at boot."""
    body = await asyncio.to_thread(
        _read, request.app[MEASURED_BOOT] / REGISTERS, MAX_REGISTERS_BYTES
    )
    return web.Response(body=body, content_type="application/json")


async def get_event_log(request: web.Request) -> web.Response:
    """Answer with the firmware's TPM event log as copied at boot."""
    path = request.app[MEASURED_BOOT] / TPM_EVENT_LOG
    body = await asyncio.to_thread(_read, path, MAX_EVENT_LOG_BYTES)
    return web.Response(body=body, content_type="application/octet-stream")


def _read(path: Path, limit: int) -> bytes:
    try:
        with path.open("rb") as file:
            body = file.read(limit + 1)
    except OSError as exc:
        raise NotMeasuredError(
            f"{path.name} is not available ({exc.strerror}): "
            "measured-boot.service has not run, or the machine has no TPM"
        ) from exc
    if len(body) > limit:
        raise NotMeasuredError(f"{path.name} is larger than {limit} bytes")
    return body
