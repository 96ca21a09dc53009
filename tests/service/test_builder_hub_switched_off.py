# SPDX-License-Identifier: MIT
"""What an admin takes away is gone: also for a request under way, and for who asks again."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlalchemy import text

from buildernet.builder_hub import registrations
from buildernet.builder_hub.builders import find_active
from buildernet.builder_hub.measurement_store import delete_measurement, list_active
from tests.support.builder_hub import (
    API,
    IP,
    MEASUREMENT,
    RunningHub,
    instance_headers,
    running_hub,
)
from tests.support.hub_nodes import SimulatedNode
from tests.support.postgres import Postgres

POST = "/tee_attestation"
SECRET = "0xsecret"


@pytest.fixture
async def ready(hub: RunningHub) -> RunningHub:
    """A hub with one image and one builder that has secrets."""
    await hub.add_measurement()
    await hub.add_builder()
    await hub.post("/builders/secrets/alpha", {"coinbase_secret_key": SECRET})
    return hub


async def switch(hub: RunningHub, what: str, *, enabled: bool) -> None:
    await hub.post(f"/{what}", {"enabled": enabled})


ALPHA, IMAGE = "builders/activation/alpha", "measurements/activation/image-1"


@asynccontextmanager
async def half_sent(hub: RunningHub, path: str, body: bytes, **headers: str) -> AsyncIterator[Any]:
    """Send half of a request and give what sends the rest and returns the answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", hub.instance_port)
    fields = {**instance_headers(), **headers, "Host": "hub", "Content-Length": str(len(body)),
              "Connection": "close"}  # fmt: skip
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    writer.write(f"POST {API}{path} HTTP/1.1\r\n{lines}\r\n".encode() + body[:10])
    await writer.drain()

    async def finish() -> tuple[int, bytes]:
        writer.write(body[10:])
        answer = await asyncio.wait_for(reader.read(), 20)
        return int(answer.split()[1]), answer.partition(b"\r\n\r\n")[2]

    try:
        await hub.ask("/builders")  # answered after the half above was read
        yield finish
    finally:
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize("what", [ALPHA, IMAGE])
async def test_slow_body_gets_no_secrets_of_a_time_before(ready: RunningHub, what: str) -> None:
    body = json.dumps(SimulatedNode().attestation_request()).encode()
    async with half_sent(ready, POST, body) as finish:
        await switch(ready, what, enabled=False)
        status, answer = await finish()
    assert status in (403, 503), "503 says that no image is active at all"
    assert SECRET.encode() not in answer
    assert await ready.get("/attestations") == []


@pytest.mark.parametrize("what", [ALPHA, IMAGE])
async def test_collateral_that_is_late_brings_no_secrets(ready: RunningHub, what: str) -> None:
    asked, go = asyncio.Event(), asyncio.Event()
    find = ready.hub.verifier.find_collateral

    async def slow(quote: bytes) -> Any:
        asked.set()
        await go.wait()
        return await find(quote)

    object.__setattr__(ready.hub.verifier, "find_collateral", slow)
    posted = SimulatedNode().attestation_request()
    task = asyncio.create_task(ready.send(POST, posted, status=403))
    await asyncio.wait_for(asked.wait(), 20)
    await switch(ready, what, enabled=False)
    go.set()
    assert await task is None
    assert await ready.get("/attestations") == []
    await switch(ready, what, enabled=True)
    assert (await ready.ask("/peers"))["peer_list"] == []


async def test_image_of_the_evidence_counts_beside_the_callers(ready: RunningHub) -> None:
    """The proxy may vouch for one image while the evidence is of another."""
    other = {**MEASUREMENT, "measurement_id": "image-2", "measurements": {"1": "20" * 48}}
    await ready.add_measurement(other)
    find = ready.hub.verifier.find_collateral

    async def switching(quote: bytes) -> Any:
        await switch(ready, IMAGE, enabled=False)
        return await find(quote)

    object.__setattr__(ready.hub.verifier, "find_collateral", switching)
    answer = await ready.send(POST, SimulatedNode().attestation_request(), status=422)
    assert "taken off the list" in answer["message"]


@pytest.mark.parametrize("what", [ALPHA, IMAGE])
async def test_slow_registration_is_not_stored(ready: RunningHub, what: str) -> None:
    node, path = SimulatedNode(), "/register_credentials/instance"
    challenge = (await ready.ask(f"{path}/challenge"))["challenge"]
    body = json.dumps(node.prove_certificate(challenge)).encode()
    async with half_sent(ready, path, body) as finish:
        await switch(ready, what, enabled=False)
        assert await finish() == (403, b"")
    assert await ready.get("/registrations") == []


async def test_address_that_changed_hands_registers_for_nobody(ready: RunningHub) -> None:
    node, path = SimulatedNode(), "/register_credentials/instance"
    challenge = (await ready.ask(f"{path}/challenge"))["challenge"]
    body = json.dumps(node.prove_certificate(challenge)).encode()
    async with half_sent(ready, path, body) as finish:
        await switch(ready, ALPHA, enabled=False)
        await ready.add_builder("heir")
        assert await finish() == (403, b"")
    assert await ready.get("/registrations") == []


async def test_node_goes_on_under_the_builder_that_replaces_its_own(ready: RunningHub) -> None:
    node = SimulatedNode()
    await ready.send(POST, node.attestation_request())
    await switch(ready, ALPHA, enabled=False)
    await ready.add_builder("alpha2")
    answer = await ready.send(POST, node.attestation_request())
    assert [peer["name"] for peer in answer["peer_list"]] == ["alpha2"]
    # Back at another address the first one has nothing to show, and may not take the node back.
    moved = {"ip_address": "5.6.7.8", "network": "production"}
    async with ready.admin.put("/api/admin/v1/builders/alpha", json=moved) as changed:
        assert changed.status == 200
    await switch(ready, ALPHA, enabled=True)
    assert [peer["name"] for peer in (await ready.ask("/peers"))["peer_list"]] == ["alpha2"]
    node.ip = "5.6.7.8"
    headers = instance_headers(ip=node.ip)
    await ready.send(POST, node.attestation_request(), headers=headers, status=409)


async def test_node_goes_on_when_its_builder_moved_away(ready: RunningHub) -> None:
    node = SimulatedNode()
    await ready.send(POST, node.attestation_request())
    moved = {"ip_address": "5.6.7.8", "network": "production"}
    async with ready.admin.put("/api/admin/v1/builders/alpha", json=moved) as changed:
        assert changed.status == 200
    await ready.add_builder("alpha2")
    answer = await ready.send(POST, node.attestation_request())
    assert [peer["name"] for peer in answer["peer_list"]] == ["alpha2"]


async def test_deleted_builder_keeps_no_node(ready: RunningHub) -> None:
    find = ready.hub.verifier.find_collateral
    node = SimulatedNode()

    async def deleting(quote: bytes) -> Any:
        await ready.delete("/builders/alpha")
        return await find(quote)

    object.__setattr__(ready.hub.verifier, "find_collateral", deleting)
    assert await ready.send(POST, node.attestation_request(), status=403) is None
    object.__setattr__(ready.hub.verifier, "find_collateral", find)
    await ready.add_builder("heir")
    await ready.send(POST, node.attestation_request())


async def register(hub: RunningHub, node: SimulatedNode, *, status: int = 200) -> Any:
    """Register certificate and signing key of a node."""
    path = "/register_credentials/orderflow_proxy"
    challenge = (await hub.ask(f"{path}/challenge"))["challenge"]
    both = {**node.prove_certificate(challenge), "ecdsa_pubkey_address": node.address}
    body = json.dumps(both).encode()
    return await hub.send(path, body, headers=node.sign(body), status=status)


async def test_registration_that_was_taken_back_stays_away(ready: RunningHub) -> None:
    node, other = SimulatedNode(), SimulatedNode()
    await register(ready, node)
    (taken,) = await ready.get("/registrations")
    await ready.delete(f"/registrations/{taken['id']}")
    answer = await register(ready, node, status=409)
    assert answer["message"] == (
        f"registration {taken['id']} of this key was taken back by an admin"
    )
    for half in (SimulatedNode(key=node.key), SimulatedNode(signing=node.signing)):
        await register(ready, half, status=409)  # another certificate for the same key, and so on
    assert "orderflow_proxy" not in (await ready.ask("/builders"))[0]
    await register(ready, other)
    await ready.delete(f"/registrations/{taken['id']}/refusal")
    await ready.delete(f"/registrations/{taken['id']}/refusal", status=404)
    await register(ready, node)
    (entry,) = await ready.ask("/builders")
    assert entry["orderflow_proxy"]["ecdsa_pubkey_address"] == node.address
    actions = [record["action"] for record in await ready.get("/audit?limit=2")]
    assert actions == ["registration_allowed", "registration_removed"]


async def test_refusal_outlives_the_registrations_that_are_forgotten(
    ready: RunningHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registrations, "KEPT_REGISTRATIONS", 1)
    node = SimulatedNode()
    await register(ready, node)
    (taken,) = await ready.get("/registrations")
    await ready.delete(f"/registrations/{taken['id']}")
    for _ in range(2):
        await register(ready, SimulatedNode())
    assert [row["is_refused"] for row in await ready.get("/registrations")] == [False, True]
    await register(ready, node, status=409)


async def until_waiting(hub: RunningHub, changes: list[asyncio.Task[Any]]) -> None:
    """Wait until every change waits for a transaction of PostgreSQL."""
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    found: object = 0
    async with asyncio.timeout(20):
        while found != len(changes):
            async with hub.hub.transaction() as watching:
                found = (await watching.execute(waiting)).scalar()
            assert not any(change.done() for change in changes)


@pytest.mark.process
async def test_changes_wait_for_what_is_being_stored(postgres: Postgres) -> None:
    """What is stored for a builder that is found active is stored before it is switched off."""
    name = await asyncio.to_thread(postgres.create)
    async with running_hub(postgres.url(name)) as hub:
        await hub.add_measurement()
        await hub.add_builder()
        await register(hub, SimulatedNode())
        (row,) = await hub.get("/registrations")
        async with hub.hub.transaction() as connection:
            assert await find_active(connection, IP, lock=True) is not None
            changes = [
                asyncio.create_task(switch(hub, ALPHA, enabled=False)),
                asyncio.create_task(hub.delete(f"/registrations/{row['id']}")),
                asyncio.create_task(hub.post("/builders/secrets/alpha", {})),
            ]
            await until_waiting(hub, changes)
        await asyncio.gather(*changes)


@pytest.mark.process
async def test_an_image_that_is_being_deleted_is_not_let_in_again(postgres: Postgres) -> None:
    name = await asyncio.to_thread(postgres.create)
    async with running_hub(postgres.url(name)) as hub:
        await hub.add_measurement()
        async with hub.hub.transaction() as connection:
            await delete_measurement(connection, "image-1", at_ms=hub.hub.now_ms)
            change = asyncio.create_task(hub.post(f"/{IMAGE}", {"enabled": True}, status=404))
            await until_waiting(hub, [change])
        await change
        async with hub.hub.transaction() as connection:
            assert not await list_active(connection)
