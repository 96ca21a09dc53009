# SPDX-License-Identifier: MIT
"""The instance and internal listeners, on both databases."""

import json
from io import BytesIO
from typing import Any

import pytest

from tests.support.builder_hub import (
    API,
    MEASUREMENT,
    REGISTERS,
    RTMR1,
    RunningHub,
    instance_headers,
    make_config,
    running_hub,
)
from tests.support.hub_nodes import SimulatedNode

INTERNAL = "/api/internal/l1-builder"


@pytest.fixture
async def ready(hub: RunningHub) -> RunningHub:
    """A hub with one image and one builder."""
    await hub.add_measurement()
    await hub.add_builder()
    return hub


async def test_public_clients_walk_through_unchanged(hub_database: str) -> None:
    """The steps of the reference's own end-to-end test, with what it leaves out made real."""
    config = make_config(
        dangerously_accept_unproved_registrations=True,
        dangerously_accept_unattested_measurements=True,
        extra_services=("foobar123",),
    )
    mocked = instance_headers(kind="test", registers={})
    address = "0x321f3426eEc20DE1910af1CD595c4DD83BEA0BA5"
    pem = SimulatedNode().pem
    async with running_hub(hub_database, config, migrated=True) as hub:
        test1 = {"measurement_id": "test1", "attestation_type": "test", "measurements": {}}
        await hub.add_measurement(test1)
        async with hub.internal.get(f"{API}/measurements") as answer:
            assert await answer.json() == [test1]
        builder = {"name": "test_builder", "ip_address": "1.2.3.4", "dns_name": "foobar-v1.a.b.c"}
        await hub.post("/builders", {**builder, "network": "production"})
        await hub.post("/builders/configuration/test_builder", {"rbuilder": {"extra_data": "F"}})
        await hub.post("/builders/activation/test_builder", {"enabled": True})
        for path in ("/v1/builders", "/v2/network/production/builders"):
            async with hub.internal.get(INTERNAL + path) as answer:
                (entry,) = await answer.json()
            assert (entry["ip"], entry["name"]) == ("1.2.3.4", "test_builder")
        for service, body in {
            "rbuilder": {"ecdsa_pubkey_address": address},
            "orderflow_proxy": {"ecdsa_pubkey_address": address, "tls_cert": pem},
            "instance": {"tls_cert": pem},
            "foobar123": {"tls_cert": pem, "ecdsa_pubkey_address": address, "region": "eu"},
        }.items():
            await hub.send(f"/register_credentials/{service}", body, headers=mocked)
        lower = address.lower()
        assert await hub.ask("/builders", headers=mocked) == [
            {
                "ip": "1.2.3.4",
                "name": "test_builder",
                "dns_name": "foobar-v1.a.b.c",
                "rbuilder": {"ecdsa_pubkey_address": lower},
                "orderflow_proxy": {"tls_cert": pem, "ecdsa_pubkey_address": lower},
                "instance": {"tls_cert": pem},
                "foobar123": {
                    "tls_cert": pem,
                    "ecdsa_pubkey_address": lower,
                    "region": "eu",
                },
            }
        ]


async def test_configuration_is_the_secrets_document_byte_for_byte(ready: RunningHub) -> None:
    document = b'{ "coinbase_secret_key":"0x01",  "__version": "1\\u00e9" }'
    assert await ready.ask("/configuration") == {}
    await ready.post("/builders/secrets/alpha", document)
    url = f"{API}/configuration"
    async with ready.instance.get(url, headers=instance_headers()) as answer:
        assert await answer.read() == document
        assert answer.content_type == "application/json"
    events = await ready.get("/events")
    assert [event["event_name"] for event in events] == ["GetConfig", "GetConfig"]
    assert events[0]["builder_name"] == "alpha"
    assert events[0]["measurement_id"] == "image-1"


async def test_measurements_have_the_published_shape(ready: RunningHub) -> None:
    await ready.post(
        "/measurements",
        {
            "measurement_id": "inactive",
            "attestation_type": "azure-tdx",
            "measurements": {"pcr4": "AA" * 32},
        },
    )
    assert await ready.ask("/measurements", headers={}) == [MEASUREMENT]
    await ready.post("/measurements/activation/inactive", {"enabled": True})
    found = await ready.ask("/measurements", headers={})
    assert found[1]["measurements"] == {"4": {"expected": "aa" * 32}}
    await ready.post("/measurements/activation/image-1", {"enabled": False})
    await ready.post("/measurements/activation/inactive", {"enabled": False})
    assert await ready.ask("/measurements", headers={}) == []


async def test_network_decides_which_builders_are_seen(ready: RunningHub) -> None:
    await ready.add_builder("beta", ip="2001:db8::1", network="staging")
    await ready.add_builder("gamma", ip="5.6.7.8")
    assert [entry["name"] for entry in await ready.ask("/builders")] == ["alpha", "gamma"]
    staged = await ready.ask("/builders", headers=instance_headers(ip="2001:DB8:0::1"))
    assert [entry["name"] for entry in staged] == ["beta"]
    async with ready.internal.get(f"{INTERNAL}/v2/network/none/builders") as answer:
        assert await answer.json() == []


@pytest.mark.parametrize(
    "headers",
    [
        {},
        instance_headers(kind=""),
        instance_headers(kind="none"),
        instance_headers(kind="azure-tdx"),
        instance_headers(ip="4.3.2.1"),
        instance_headers(ip="nonsense"),
        instance_headers(registers={}),
        instance_headers(registers={**REGISTERS, "2": "33" * 48}),
        instance_headers(registers={**REGISTERS, "2": RTMR1[:-2]}),
        {**instance_headers(), "X-Flashbots-Measurement": "[1]"},
        {**instance_headers(), "X-Flashbots-Measurement": "{" * 3000},
        {**instance_headers(), "X-Flashbots-Measurement": '{"0": 1}'},
        {**instance_headers(), "X-Forwarded-For": ""},
    ],
)
async def test_whoever_is_no_instance_gets_an_empty_403(
    sqlite_hub: RunningHub, headers: dict[str, str]
) -> None:
    await sqlite_hub.add_measurement()
    await sqlite_hub.add_builder()
    await sqlite_hub.ask("/builders")
    for path in ("/builders", "/configuration", "/peers"):
        assert await sqlite_hub.ask(path, headers=headers, status=403) is None


async def test_disabled_image_or_builder_is_refused(ready: RunningHub) -> None:
    await ready.post("/measurements/activation/image-1", {"enabled": False})
    assert await ready.ask("/builders", status=403) is None
    await ready.post("/measurements/activation/image-1", {"enabled": True})
    await ready.post("/builders/activation/alpha", {"enabled": False})
    assert await ready.ask("/builders", status=403) is None


async def test_registration_needs_proof_of_every_key(ready: RunningHub) -> None:
    node = SimulatedNode()
    path = "/register_credentials/orderflow_proxy"
    challenge = (await ready.ask(f"{path}/challenge"))["challenge"]
    both = {**node.prove_certificate(challenge), "ecdsa_pubkey_address": node.address}
    body = json.dumps(both).encode()
    assert "does not prove" in (await ready.send(path, body, status=422))["message"]
    await ready.send(path, {"ecdsa_pubkey_address": node.address}, status=422)
    await ready.send(path, {"tls_cert": node.pem}, status=422)
    await ready.send(path, body, headers=node.sign(body))
    (entry,) = await ready.ask("/builders")
    assert entry["orderflow_proxy"]["tls_cert"] == node.pem
    (registered,) = await ready.get("/registrations")
    assert registered["is_proved"] is True


async def test_wrong_proofs_are_refused_even_when_none_is_demanded(hub_database: str) -> None:
    config = make_config(dangerously_accept_unproved_registrations=True)
    node, other = SimulatedNode(), SimulatedNode()
    path = "/register_credentials/instance"
    async with running_hub(hub_database, config, migrated=True) as hub:
        await hub.add_measurement()
        await hub.add_builder()
        challenge = (await hub.ask(f"{path}/challenge"))["challenge"]
        proved = node.prove_certificate(challenge)
        rbuilder = (await hub.ask("/register_credentials/rbuilder/challenge"))["challenge"]
        wrong: list[dict[str, Any]] = [
            {**proved, "tls_cert": other.pem},
            {**proved, "challenge": None},
            {**proved, "challenge": "0x" + "00" * 40},
            node.prove_certificate(rbuilder),
        ]
        for body in wrong:
            await hub.send(path, body, status=422)
        stolen = json.dumps({"ecdsa_pubkey_address": other.address}).encode()
        await hub.send(path, stolen, headers=node.sign(stolen), status=422)
        await hub.send(path, proved)


async def test_challenge_expires(sqlite_database: str) -> None:
    now = [1_780_000_000.0]
    node = SimulatedNode()
    path = "/register_credentials/instance"
    async with running_hub(sqlite_database, clock=lambda: now[0], migrated=True) as hub:
        await hub.add_measurement()
        await hub.add_builder()
        proved = node.prove_certificate((await hub.ask(f"{path}/challenge"))["challenge"])
        now[0] += 301
        assert "expired" in (await hub.send(path, proved, status=422))["message"]
        now[0] -= 2
        await hub.send(path, proved)


async def test_signed_address_without_challenge_is_no_proof(ready: RunningHub) -> None:
    """Else whoever saw an old registration could send it again."""
    node = SimulatedNode()
    body = json.dumps({"ecdsa_pubkey_address": node.address}).encode()
    await ready.send("/register_credentials/rbuilder", body, headers=node.sign(body), status=422)


async def test_new_registration_replaces_the_one_before(ready: RunningHub) -> None:
    path = "/register_credentials/instance"
    nodes = [SimulatedNode(), SimulatedNode()]
    for node in (*nodes, nodes[1]):
        challenge = (await ready.ask(f"{path}/challenge"))["challenge"]
        await ready.send(path, node.prove_certificate(challenge))
    (entry,) = await ready.ask("/builders")
    assert entry["instance"] == {"tls_cert": nodes[1].pem}
    newest, oldest = await ready.get("/registrations?builder=alpha")
    assert (newest["is_active"], oldest["is_active"]) == (True, False)
    await ready.delete(f"/registrations/{newest['id']}")
    assert "instance" not in (await ready.ask("/builders"))[0]
    await ready.delete(f"/registrations/{newest['id']}", status=404)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"{}", "no credentials provided"),
        (b'{"tls_cert": ""}', "no credentials provided"),
        (b"nonsense", "failed to unmarshal request body"),
        (b'{"ecdsa_pubkey_address": NaN}', "failed to unmarshal request body"),
        (b"[" * 5000, "failed to unmarshal request body"),
        (b"[]", "the request's body is not a JSON object"),
        (b'{"tls_cert": 1}', "tls_cert is not text"),
    ],
)
async def test_malformed_registration_is_named(
    sqlite_hub: RunningHub, body: bytes, message: str
) -> None:
    await sqlite_hub.add_measurement()
    await sqlite_hub.add_builder()
    answer = await sqlite_hub.send("/register_credentials/instance", body, status=400)
    assert answer["message"] == message


async def test_too_large_body_is_refused(sqlite_hub: RunningHub) -> None:
    await sqlite_hub.add_measurement()
    await sqlite_hub.add_builder()
    await sqlite_hub.send(
        "/register_credentials/instance", BytesIO(b" " * (1 << 20) + b"{}"), status=413
    )


async def test_metric_of_the_reference_is_there(ready: RunningHub) -> None:
    await ready.ask("/builders")
    async with ready.metrics.get("/metrics") as answer:
        text = await answer.text()
    line = 'http_server_request_duration_milliseconds_count{route="/api/l1-builder/v1/builders"}'
    assert f"{line} 1.0" in text
