# SPDX-License-Identifier: MIT
"""The admin's pages: lists, and switches for builders and measurements. No JavaScript.

Templates escape everything. Forms carry a token that only this hub can make for this user and this
form; together with the guard's look at where a request comes from, another site's page changes
nothing.
"""

import hashlib
import hmac
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import parse_qsl

from aiohttp import web
from jinja2 import Environment, PackageLoader, StrictUndefined

from buildernet.builder_hub.admin_guard import ACTOR
from buildernet.builder_hub.answers import next_page, path_name, read_page
from buildernet.builder_hub.builders import list_builders
from buildernet.builder_hub.errors import BadRequestError, ForbiddenError
from buildernet.builder_hub.hub import HUB, Hub
from buildernet.builder_hub.journal import list_audit, list_events
from buildernet.builder_hub.measurement_store import list_measurements
from buildernet.builder_hub.node_records import list_records
from buildernet.builder_hub.registrations import list_registrations
from buildernet.builder_hub.switching import switch_builder, switch_measurement
from buildernet.net.errors import RequestError

MAX_FORM_BYTES: Final = 1024
"""A token and a switch."""

_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; form-action 'self'; "
        "frame-ancestors 'none'; base-uri 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_FORM: Final = "application/x-www-form-urlencoded"
_MAX_FIELDS: Final = 8
_MS: Final = 1000

# Any: rows of JSON, as the stores give them.
Rows = Sequence[Mapping[str, Any]]
_Switch = Callable[..., Awaitable[None]]


def _moment(at_ms: int | None) -> str:
    if at_ms is None:
        return ""
    return f"{datetime.fromtimestamp(at_ms / _MS, UTC):%Y-%m-%d %H:%M:%S}"


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("buildernet.builder_hub"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["moment"] = _moment
    return environment


_ENVIRONMENT: Final = _environment()


def add_pages(app: web.Application) -> None:
    """Add the pages to the admin listener."""
    router = app.router
    router.add_get("/", builders)
    router.add_get("/measurements", measurements)
    router.add_get("/registrations", registrations)
    router.add_get("/attestations", attestations)
    router.add_get("/events", events)
    router.add_get("/audit", audit)
    router.add_get("/style.css", style)
    router.add_post("/builders/{name}/activation", post_builder)
    router.add_post("/measurements/{name}/activation", post_measurement)


async def builders(request: web.Request) -> web.Response:
    """Show the builders."""
    return await _builders(request)


async def measurements(request: web.Request) -> web.Response:
    """Show the measurements."""
    return await _measurements(request)


async def registrations(request: web.Request) -> web.Response:
    """Show what instances registered, newest first."""
    page = read_page(request)
    async with request.app[HUB].transaction() as connection:
        rows = await list_registrations(connection, page)
    return _page(request, "registrations", rows=rows, more=next_page(request, page, rows))


async def attestations(request: web.Request) -> web.Response:
    """Show what each node proved last."""
    page = read_page(request, by_name=True)
    async with request.app[HUB].transaction() as connection:
        rows = await list_records(connection, page)
    more = next_page(request, page, rows, key="builder_name")
    return _page(request, "attestations", rows=rows, more=more)


async def events(request: web.Request) -> web.Response:
    """Show what instances did, newest first."""
    page = read_page(request)
    async with request.app[HUB].transaction() as connection:
        rows = await list_events(connection, page)
    return _page(request, "events", rows=rows, more=next_page(request, page, rows))


async def audit(request: web.Request) -> web.Response:
    """Show what admins did, newest first."""
    page = read_page(request)
    async with request.app[HUB].transaction() as connection:
        rows = await list_audit(connection, page)
    return _page(request, "audit", rows=rows, more=next_page(request, page, rows))


async def style(_request: web.Request) -> web.Response:
    """Answer with the pages' one style sheet."""
    text = _ENVIRONMENT.get_template("style.css").render()
    return web.Response(text=text, content_type="text/css", headers=_HEADERS)


async def post_builder(request: web.Request) -> web.Response:
    """Switch a builder, and show the list again."""
    return await _post(request, switch_builder, "/", _builders)


async def post_measurement(request: web.Request) -> web.Response:
    """Switch a measurement, and show the list again."""
    return await _post(request, switch_measurement, "/measurements", _measurements)


async def _builders(request: web.Request, *, error: RequestError | None = None) -> web.Response:
    page = read_page(request, by_name=True)
    async with request.app[HUB].transaction() as connection:
        found = await list_builders(connection, page)
    rows = [
        {**asdict(one), "token": _token(request, f"/builders/{one.name}/activation")}
        for one in found
    ]
    more = next_page(request, page, rows, key="name")
    return _page(request, "builders", rows=rows, error=error, more=more)


async def _measurements(request: web.Request, *, error: RequestError | None = None) -> web.Response:
    page = read_page(request)
    async with request.app[HUB].transaction() as connection:
        found = await list_measurements(connection, page)
    rows = [
        {
            "id": stored.measurement.id,
            "name": stored.measurement.name,
            "attestation_type": stored.measurement.attestation_type,
            "expected": stored.measurement.expected,
            "is_active": stored.is_active,
            "created_at_ms": stored.created_at_ms,
            "deprecated_at_ms": stored.deprecated_at_ms,
            "token": _token(request, f"/measurements/{stored.measurement.name}/activation"),
        }
        for stored in found
    ]
    more = next_page(request, page, rows)
    return _page(request, "measurements", rows=rows, error=error, more=more)


async def _post(
    request: web.Request,
    switch: _Switch,
    back: str,
    show: Callable[..., Awaitable[web.Response]],
) -> web.Response:
    form = await _read_form(request)
    token, enabled = form.get("token"), form.get("enabled")
    expected = _token(request, request.path)
    # compare_digest takes ASCII text only
    if token is None or not hmac.compare_digest(token.encode(), expected.encode()):
        raise ForbiddenError("the form is not of this hub, or of another user")
    try:
        await switch(
            request.app[HUB], request[ACTOR], path_name(request), enabled=enabled == "true"
        )
    except RequestError as exc:
        return await show(request, error=exc)
    return web.Response(status=303, headers={"Location": back})


async def _read_form(request: web.Request) -> Mapping[str, str]:
    """Return the fields of the one kind of form our pages send.

    Raises:
        BadRequestError: It is of another kind, or not UTF-8.
    """
    if (request.content_length or 0) > MAX_FORM_BYTES:
        raise web.HTTPRequestEntityTooLarge(MAX_FORM_BYTES, request.content_length or 0)
    if request.content_type != _FORM:
        raise BadRequestError(f"a form is sent as {_FORM}")
    try:
        text = (await request.read()).decode()
        return dict(parse_qsl(text, errors="strict", max_num_fields=_MAX_FIELDS))
    except ValueError as exc:
        raise BadRequestError("the form cannot be read") from exc


def _page(
    request: web.Request,
    name: str,
    *,
    rows: Rows,
    error: RequestError | None = None,
    more: str | None = None,
) -> web.Response:
    text = _ENVIRONMENT.get_template(f"{name}.html").render(
        page=name,
        rows=rows,
        more=more,
        user=request[ACTOR].user,
        error=None if error is None else error.message,
    )
    status = 200 if error is None else error.status
    return web.Response(text=text, status=status, content_type="text/html", headers=_HEADERS)


def _token(request: web.Request, action: str) -> str:
    hub: Hub = request.app[HUB]
    message = b"\0".join((b"form", request[ACTOR].user.encode(), action.encode()))
    return hmac.new(hub.sealer.challenge_key(), message, hashlib.sha256).hexdigest()
