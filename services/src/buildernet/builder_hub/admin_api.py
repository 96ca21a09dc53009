# SPDX-License-Identifier: MIT
"""The admin API: what changes the registry. Every change is audited in its own transaction.

Reference: specs/services.md section 4.4; the lists and deletions are ours.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncConnection

from buildernet.builder_hub.admin_guard import ACTOR
from buildernet.builder_hub.answers import json_answer, path_name, raw_json
from buildernet.builder_hub.builders import (
    Builder,
    add_builder,
    delete_builder,
    parse_builder,
    update_builder,
)
from buildernet.builder_hub.documents import (
    NO_SECRETS,
    get_configuration,
    get_secrets,
    parse_object,
    set_configuration,
    set_secrets,
)
from buildernet.builder_hub.errors import BadRequestError
from buildernet.builder_hub.hub import HUB
from buildernet.builder_hub.journal import fingerprint, write_audit
from buildernet.builder_hub.measurement_store import (
    add_measurement,
    delete_measurement,
)
from buildernet.builder_hub.measurements import parse_posted
from buildernet.builder_hub.registrations import allow_registration, refuse_registration
from buildernet.builder_hub.switching import switch_builder, switch_measurement

PREFIX: Final = "/api/admin/v1"


def add_admin_routes(app: web.Application) -> None:
    """Add the routes that change something, and those that show documents."""
    router = app.router
    router.add_post(f"{PREFIX}/measurements", post_measurements)
    router.add_post(f"{PREFIX}/measurements/activation/{{name}}", post_measurement_activation)
    router.add_delete(f"{PREFIX}/measurements/{{name}}", remove_measurement)
    router.add_post(f"{PREFIX}/builders", post_builder)
    router.add_put(f"{PREFIX}/builders/{{name}}", put_builder)
    router.add_delete(f"{PREFIX}/builders/{{name}}", remove_builder)
    router.add_post(f"{PREFIX}/builders/activation/{{name}}", post_builder_activation)
    router.add_post(f"{PREFIX}/builders/configuration/{{name}}", post_configuration)
    router.add_get(
        f"{PREFIX}/builders/configuration/{{name}}/active", active_configuration, allow_head=False
    )
    router.add_get(
        f"{PREFIX}/builders/configuration/{{name}}/full", full_configuration, allow_head=False
    )
    router.add_post(f"{PREFIX}/builders/secrets/{{name}}", post_secrets)
    router.add_delete(f"{PREFIX}/registrations/{{number:[0-9]{{1,18}}}}", remove_registration)
    router.add_delete(f"{PREFIX}/registrations/{{number:[0-9]{{1,18}}}}/refusal", remove_refusal)


async def post_measurements(request: web.Request) -> web.Response:
    """Add one measurement, or several: inactive until they are enabled."""
    hub = request.app[HUB]
    unsafe = hub.config.attestation.dangerously_accept_unattested_measurements
    body = await request.read()
    added = parse_posted(body, unsafe=unsafe)
    async with hub.transaction() as connection:
        for one in added:
            await add_measurement(connection, one, at_ms=hub.now_ms)
            await write_audit(
                connection,
                request[ACTOR],
                "measurement_added",
                one.name,
                at_ms=hub.now_ms,
                detail=one.render(),
            )
    return web.Response()


async def post_measurement_activation(request: web.Request) -> web.Response:
    """Enable or disable a measurement."""
    enabled = _enabled(await request.read())
    await switch_measurement(request.app[HUB], request[ACTOR], path_name(request), enabled=enabled)
    return web.Response()


async def remove_measurement(request: web.Request) -> web.Response:
    """Take a measurement out for good."""
    name = path_name(request)
    async with _changing(request, "measurement_deleted", name) as (connection, at_ms):
        await delete_measurement(connection, name, at_ms=at_ms)
    return web.Response()


async def post_builder(request: web.Request) -> web.Response:
    """Add a builder: inactive until it is enabled."""
    new = parse_builder(parse_object(await request.read()))
    async with _changing(request, "builder_added", new.name, _addresses(new)) as (
        connection,
        at_ms,
    ):
        await add_builder(connection, new, at_ms=at_ms)
    return web.Response()


async def put_builder(request: web.Request) -> web.Response:
    """Change addresses and network of a builder."""
    name = path_name(request)
    new = parse_builder({**parse_object(await request.read()), "name": name})
    detail = _addresses(new)
    async with _changing(request, "builder_changed", name, detail) as (connection, at_ms):
        await update_builder(connection, new, at_ms=at_ms)
    return web.Response()


async def remove_builder(request: web.Request) -> web.Response:
    """Take a builder out for good; its history stays."""
    name = path_name(request)
    async with _changing(request, "builder_deleted", name) as (connection, at_ms):
        await delete_builder(connection, name, at_ms=at_ms)
    return web.Response()


async def post_builder_activation(request: web.Request) -> web.Response:
    """Enable or disable a builder."""
    enabled = _enabled(await request.read())
    await switch_builder(request.app[HUB], request[ACTOR], path_name(request), enabled=enabled)
    return web.Response()


async def post_configuration(request: web.Request) -> web.Response:
    """Give a builder a configuration; the one before is kept."""
    name, document = path_name(request), await request.read()
    detail = fingerprint(document)
    async with _changing(request, "configuration_set", name, detail) as (connection, at_ms):
        await set_configuration(connection, name, document, at_ms=at_ms)
    return web.Response()


async def active_configuration(request: web.Request) -> web.Response:
    """Answer with a builder's configuration as it was sent; who read it is audited."""
    hub, name = request.app[HUB], path_name(request)
    async with hub.transaction() as connection:
        document = await get_configuration(connection, name)
        await write_audit(connection, request[ACTOR], "configuration_read", name, at_ms=hub.now_ms)
    return raw_json(document)


async def full_configuration(request: web.Request) -> web.Response:
    """Answer with a builder's secrets document; who read it is audited."""
    hub, name = request.app[HUB], path_name(request)
    async with hub.transaction() as connection:
        document = await get_secrets(connection, name, sealer=hub.sealer)
        if document is None:
            await get_configuration(connection, name)  # as the reference: 404 without one, else {}
            document = NO_SECRETS
        await write_audit(connection, request[ACTOR], "secrets_read", name, at_ms=hub.now_ms)
    return raw_json(document.decode())


async def post_secrets(request: web.Request) -> web.Response:
    """Give a builder the document it is configured with, encrypted at once."""
    name, document = path_name(request), await request.read()
    detail = {"bytes": len(document)}  # no hash: a short secret could be guessed from it
    async with _changing(request, "secrets_set", name, detail) as (connection, at_ms):
        sealer = request.app[HUB].sealer
        await set_secrets(connection, name, document, sealer=sealer, at_ms=at_ms)
    return web.Response()


async def remove_registration(request: web.Request) -> web.Response:
    """Take a registered credential back, and refuse it from now on."""
    hub, number = request.app[HUB], int(request.match_info["number"])
    async with hub.transaction() as connection:
        gone = await refuse_registration(connection, number, at_ms=hub.now_ms)
        await _audit_registration(request, connection, "registration_removed", gone)
    return json_answer(gone)


async def remove_refusal(request: web.Request) -> web.Response:
    """Let a credential that was taken back register again."""
    hub, number = request.app[HUB], int(request.match_info["number"])
    async with hub.transaction() as connection:
        allowed = await allow_registration(connection, number)
        await _audit_registration(request, connection, "registration_allowed", allowed)
    return json_answer(allowed)


# Any: a row.
async def _audit_registration(
    request: web.Request, connection: AsyncConnection, action: str, row: Mapping[str, Any]
) -> None:
    await write_audit(
        connection,
        request[ACTOR],
        action,
        str(row["builder_name"]),
        at_ms=request.app[HUB].now_ms,
        detail={
            "registration": int(request.match_info["number"]),
            "service": row["service"],
        },
    )


@asynccontextmanager
async def _changing(
    request: web.Request, action: str, subject: str, detail: Mapping[str, object] | None = None
) -> AsyncIterator[tuple[AsyncConnection, int]]:
    """Give a transaction for one change, with its time, and audit the change in it."""
    hub = request.app[HUB]
    at_ms = hub.now_ms
    async with hub.transaction() as connection:
        yield connection, at_ms
        await write_audit(connection, request[ACTOR], action, subject, at_ms=at_ms, detail=detail)


def _enabled(body: bytes) -> bool:
    enabled = parse_object(body).get("enabled", False)  # as the reference
    if not isinstance(enabled, bool):
        raise BadRequestError("enabled is neither true nor false")
    return enabled


def _addresses(builder: Builder) -> dict[str, object]:
    return {
        "ip_address": builder.ip_address,
        "dns_name": builder.dns_name or "",
        "network": builder.network,
    }
