# SPDX-License-Identifier: MIT
"""The instance API: what nodes ask, through the attested proxy.

Reference: specs/services.md sections 4.1 to 4.3; docs/protocols/orderflow-hub.md.
"""

import json
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from aiohttp import web
from aiohttp.typedefs import Handler
from sqlalchemy.ext.asyncio import AsyncConnection

from buildernet.attestation.errors import PolicyError
from buildernet.builder_hub.answers import json_answer, measurements, raw_json
from buildernet.builder_hub.credentials import SIGNATURE_HEADER, parse_credentials
from buildernet.builder_hub.documents import (
    NO_SECRETS,
    get_configuration,
    get_secrets,
    parse_object,
)
from buildernet.builder_hub.errors import InstanceRefusedError, UnavailableError, UnprovedError
from buildernet.builder_hub.evidence import AttestationRequest, parse_attestation_request
from buildernet.builder_hub.health import add_health, drain, undrain
from buildernet.builder_hub.hub import HUB, Hub
from buildernet.builder_hub.identity import Caller, identify, read_claim, require_proxy
from buildernet.builder_hub.journal import ATTEST, GET_CONFIG, REGISTER, write_event
from buildernet.builder_hub.limits import MAX_RESPONSE_BYTES
from buildernet.builder_hub.measurement_store import list_active
from buildernet.builder_hub.measurements import build_policy
from buildernet.builder_hub.names import parse_service
from buildernet.builder_hub.node_records import NodeRecord, list_peers, store_record
from buildernet.builder_hub.registrations import builders_with_services, register

PREFIX: Final = "/api/l1-builder/v1"

_OVERHEAD_BYTES: Final = 64 * 1024 + 2 * 128 * 1024
"""What a response holds beside peers: the node's own certificate and evidence."""

_log = logging.getLogger(__name__)


def add_instance_routes(app: web.Application) -> None:
    """Add every route of the instance listener."""
    app.middlewares.append(refuse_silently)
    add_health(app)
    app.router.add_get("/drain", drain, allow_head=False)
    app.router.add_get("/undrain", undrain, allow_head=False)
    app.router.add_get(f"{PREFIX}/measurements", measurements)
    app.router.add_get(f"{PREFIX}/configuration", configuration, allow_head=False)
    app.router.add_get(f"{PREFIX}/builders", builders)
    app.router.add_get(f"{PREFIX}/peers", peers)
    app.router.add_post(f"{PREFIX}/tee_attestation", tee_attestation)
    app.router.add_get(f"{PREFIX}/register_credentials/{{service}}/challenge", challenge)
    app.router.add_post(f"{PREFIX}/register_credentials/{{service}}", register_credentials)


@web.middleware
async def refuse_silently(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer 403 with an empty body to whoever is no instance: nodes depend on it."""
    try:
        return await handler(request)
    except InstanceRefusedError as exc:
        request.app[HUB].metrics.refused.inc()
        _log.info("instance_refused path=%s peer=%s reason=%s", request.path, request.remote, exc)
        return web.Response(status=exc.status)


async def builders(request: web.Request) -> web.Response:
    """Answer with the active builders of the caller's network."""
    async with _calling(request) as (connection, caller):
        return json_answer(await builders_with_services(connection, caller.builder.network))


async def configuration(request: web.Request) -> web.Response:
    """Answer with the caller's secrets document, as the admin sent it."""
    hub = request.app[HUB]
    async with _calling(request) as (connection, caller):
        document = await _configuration(hub, connection, caller)
    await _note_configuration(hub, caller)
    return raw_json(document)


async def challenge(request: web.Request) -> web.Response:
    """Answer with what the keys of a registration have to sign."""
    async with _calling(request) as (_, caller):
        pass
    hub = request.app[HUB]
    service = parse_service(request.match_info["service"], known=hub.config.attestation.services)
    value, expires_at = hub.challenges.new(caller.builder.name, service)
    return raw_json(json.dumps({"challenge": f"0x{value.hex()}", "expires_at": expires_at}))


async def register_credentials(request: web.Request) -> web.Response:
    """Take certificate and signing key of one of the caller's services."""
    async with _calling(request) as (_, caller):
        pass
    hub = request.app[HUB]
    demands = hub.config.attestation
    service = parse_service(request.match_info["service"], known=demands.services)
    body = await request.read()
    credentials = parse_credentials(
        parse_object(body),
        body,
        builder=caller.builder.name,
        service=service,
        signature=request.headers.get(SIGNATURE_HEADER),
        challenges=hub.challenges,
        now=hub.clock(),
        any_text=demands.dangerously_lenient_as_reference,
    )
    if not credentials.is_proved and not demands.dangerously_accept_unproved_registrations:
        raise UnprovedError("the registration does not prove that its keys are held")
    async with _calling(request, checked=caller) as (connection, caller):
        await register(
            connection,
            credentials,
            builder=caller.builder.name,
            service=service,
            measurement_id=caller.measurement.id,
            at_ms=hub.now_ms,
        )
        await write_event(
            connection,
            REGISTER,
            builder=caller.builder.name,
            measurement_id=caller.measurement.id,
            at_ms=hub.now_ms,
        )
    hub.metrics.registrations.labels(str(credentials.is_proved).lower()).inc()
    return web.Response()


async def tee_attestation(request: web.Request) -> web.Response:
    """Take a node's evidence; answer with its configuration and with what its peers proved."""
    async with _calling(request) as (_, caller):
        pass
    hub = request.app[HUB]
    now = hub.clock()
    posted = parse_attestation_request(parse_object(await request.read()), now=now)
    try:
        record = await _verify(hub, caller, posted, now)
        async with _calling(request, checked=caller) as (connection, caller):
            await store_record(connection, record)
            await write_event(
                connection,
                ATTEST,
                builder=caller.builder.name,
                measurement_id=record.measurement_id,
                at_ms=hub.now_ms,
            )
    except UnprovedError:
        hub.metrics.evidence.labels("refused").inc()
        raise
    hub.metrics.evidence.labels("accepted").inc()
    async with _calling(request) as (connection, caller):
        document = await _configuration(hub, connection, caller)
        peer_list = await _peers(hub, connection, caller, room=len(document))
    await _note_configuration(hub, caller)
    answer = {
        "node_id": record.node_id,
        "tls_certificate": record.tls_cert,
        "tee_attestation": f"0x{record.tee_attestation.hex()}",
        "peer_list": peer_list,
        "timestamp": int(now),
    }
    # As it was sent: read and written again, its numbers could be others.
    return raw_json(f'{json.dumps(answer)[:-1]}, "configuration": {document}}}')


async def peers(request: web.Request) -> web.Response:
    """Answer with what the active builders of the caller's network proved."""
    hub = request.app[HUB]
    async with _calling(request) as (connection, caller):
        peer_list = await _peers(hub, connection, caller)
    return json_answer(
        {
            "peer_list": peer_list,
            "max_evidence_age_seconds": hub.config.attestation.max_evidence_age_s,
            "timestamp": int(hub.clock()),
        }
    )


@asynccontextmanager
async def _calling(
    request: web.Request, *, checked: Caller | None = None
) -> AsyncIterator[tuple[AsyncConnection, Caller]]:
    """Give a transaction and who calls, found out in it: whoever was switched off gets nothing.

    A request may take a minute to arrive and to verify. So what is read or stored for a caller is
    read or stored here, and never on what was true when the request began. The database is asked
    only about callers the proxy vouches for.

    Args:
        request: A request of the instance listener.
        checked: Whose credentials or evidence is to be stored now. That builder must still be at
            the address; it is locked until all is stored.

    Raises:
        InstanceRefusedError: The caller is no active builder with an active image, or another one.
    """
    hub = request.app[HUB]
    require_proxy(request, hub.trusted)
    claim, address = read_claim(request)
    unsafe = hub.config.attestation.dangerously_accept_unattested_measurements
    async with hub.transaction() as connection:
        caller = await identify(connection, claim, address, unsafe=unsafe, lock=checked is not None)
        if checked is not None and caller.builder.name != checked.builder.name:
            raise InstanceRefusedError(f"{address} is another builder's now")
        yield connection, caller


async def _configuration(hub: Hub, connection: AsyncConnection, caller: Caller) -> str:
    name = caller.builder.name
    await get_configuration(connection, name)
    document = await get_secrets(connection, name, sealer=hub.sealer)
    return (document or NO_SECRETS).decode()


async def _note_configuration(hub: Hub, caller: Caller) -> None:
    """Note that a caller gets its configuration; nodes boot also when nothing can be written."""
    name, image = caller.builder.name, caller.measurement
    try:
        async with hub.transaction() as connection:
            await write_event(
                connection, GET_CONFIG, builder=name, measurement_id=image.id, at_ms=hub.now_ms
            )
    except UnavailableError:
        hub.metrics.events_lost.inc()
        _log.error("event_lost event=%s builder=%s image=%r", GET_CONFIG, name, image.name)


async def _verify(hub: Hub, caller: Caller, posted: AttestationRequest, now: float) -> NodeRecord:
    async with hub.transaction() as connection:
        active = await list_active(connection)
    unsafe = hub.config.attestation.dangerously_accept_unattested_measurements
    try:
        policy = build_policy(active, unsafe=unsafe)
    except PolicyError as exc:
        raise UnavailableError("no active measurement that evidence could fit") from exc
    claims = await hub.verifier.verify(
        posted, ip_address=caller.builder.ip_address, measurements=policy, now=now
    )
    name = None if claims.match is None else claims.match.record.measurement_id
    return NodeRecord(
        builder_name=caller.builder.name,
        node_id=f"0x{posted.statement.node_id.hex()}",
        attestation_type=posted.attestation_type,
        tls_cert=posted.tls_cert,
        ecdsa_address=posted.ecdsa_address,
        ip_address=posted.statement.ip_address,
        tee_measurement=f"0x{posted.tee_measurement.hex()}",
        tee_attestation=posted.tee_attestation,
        attested_at=posted.statement.timestamp,
        received_at_ms=hub.now_ms,
        measurement_id=next((one.id for one in active if one.name == name), None),
    )


# Any: JSON values.
async def _peers(
    hub: Hub, connection: AsyncConnection, caller: Caller, *, room: int = 0
) -> Sequence[dict[str, Any]]:
    """Return as many peers as fit into `MAX_RESPONSE_BYTES`, the caller among them."""
    oldest = int(hub.clock()) - hub.config.attestation.max_evidence_age_s
    found = await list_peers(connection, caller.builder.network, attested_after=oldest)
    left = MAX_RESPONSE_BYTES - _OVERHEAD_BYTES - room
    fitting: list[dict[str, Any]] = []
    for peer in found:
        entry = peer.render()
        left -= len(json.dumps(entry)) + 2
        if left < 0:
            hub.metrics.peers_left_out.inc(len(found) - len(fitting))
            _log.error("peers_left_out kept=%d of=%d", len(fitting), len(found))
            break
        fitting.append(entry)
    return fitting
