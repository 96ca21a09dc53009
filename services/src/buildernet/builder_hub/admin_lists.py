# SPDX-License-Identifier: MIT
"""What admins can read: every list, newest first where it grows, in pages.

Ours alone: the reference has no route that lists anything to its admins.
"""

from dataclasses import asdict
from typing import Final

from aiohttp import web

from buildernet.builder_hub.admin_api import PREFIX
from buildernet.builder_hub.admin_guard import ACTOR
from buildernet.builder_hub.answers import json_answer, list_answer, path_name, read_page
from buildernet.builder_hub.builders import get_builder, list_builders
from buildernet.builder_hub.documents import list_configurations
from buildernet.builder_hub.hub import HUB
from buildernet.builder_hub.journal import list_audit, list_events, write_audit
from buildernet.builder_hub.measurement_store import StoredMeasurement, list_measurements
from buildernet.builder_hub.names import parse_measurement_name, parse_name
from buildernet.builder_hub.node_records import list_records
from buildernet.builder_hub.registrations import list_registrations

BUILDER: Final = "builder"


def add_admin_lists(app: web.Application) -> None:
    """Add the routes that list."""
    router = app.router
    router.add_get(f"{PREFIX}/builders", builders)
    router.add_get(f"{PREFIX}/builders/{{name}}", builder)
    router.add_get(f"{PREFIX}/builders/configuration/{{name}}/history", configurations)
    router.add_get(f"{PREFIX}/measurements", measurements)
    router.add_get(f"{PREFIX}/registrations", registrations)
    router.add_get(f"{PREFIX}/attestations", attestations)
    router.add_get(f"{PREFIX}/events", events)
    router.add_get(f"{PREFIX}/audit", audit)


async def builders(request: web.Request) -> web.Response:
    """Answer with all builders by name, deleted ones included."""
    page = read_page(request, by_name=True)
    async with request.app[HUB].transaction() as connection:
        found = await list_builders(connection, page)
    return list_answer(request, page, [asdict(one) for one in found], key="name")


async def builder(request: web.Request) -> web.Response:
    """Answer with one builder."""
    async with request.app[HUB].transaction() as connection:
        return json_answer(asdict(await get_builder(connection, path_name(request))))


async def configurations(request: web.Request) -> web.Response:
    """Answer with past and present configurations of a builder; who read them is audited."""
    hub, name, page = request.app[HUB], path_name(request), read_page(request)
    async with hub.transaction() as connection:
        found = await list_configurations(connection, name, page)
        await write_audit(connection, request[ACTOR], "configurations_read", name, at_ms=hub.now_ms)
    return list_answer(request, page, found)


async def measurements(request: web.Request) -> web.Response:
    """Answer with all measurements, deleted ones included."""
    page = read_page(request)
    async with request.app[HUB].transaction() as connection:
        found = await list_measurements(connection, page)
    return list_answer(request, page, [_measurement(one) for one in found])


async def registrations(request: web.Request) -> web.Response:
    """Answer with past and present registrations, `?builder=` narrows."""
    page, name = read_page(request), _name(request, BUILDER)
    async with request.app[HUB].transaction() as connection:
        found = await list_registrations(connection, page, builder=name)
    return list_answer(request, page, found)


async def attestations(request: web.Request) -> web.Response:
    """Answer with what each node proved last by builder, without the evidence itself."""
    page = read_page(request, by_name=True)
    async with request.app[HUB].transaction() as connection:
        found = await list_records(connection, page)
    return list_answer(request, page, found, key="builder_name")


async def events(request: web.Request) -> web.Response:
    """Answer with what instances did, `?builder=` narrows."""
    page, name = read_page(request), _name(request, BUILDER)
    async with request.app[HUB].transaction() as connection:
        found = await list_events(connection, page, builder=name)
    return list_answer(request, page, found)


async def audit(request: web.Request) -> web.Response:
    """Answer with what admins did, `?subject=` narrows."""
    page = read_page(request)
    subject = request.query.get("subject")
    subject = None if subject is None else parse_measurement_name(subject)
    async with request.app[HUB].transaction() as connection:
        found = await list_audit(connection, page, subject=subject)
    return list_answer(request, page, found)


def _name(request: web.Request, key: str) -> str | None:
    text = request.query.get(key)
    return None if text is None else parse_name(text, key)


def _measurement(stored: StoredMeasurement) -> dict[str, object]:
    return {
        "id": stored.measurement.id,
        **stored.measurement.render(),
        "is_active": stored.is_active,
        "created_at_ms": stored.created_at_ms,
        "updated_at_ms": stored.updated_at_ms,
        "deprecated_at_ms": stored.deprecated_at_ms,
    }
