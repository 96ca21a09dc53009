# SPDX-License-Identifier: MIT
"""Nodes post evidence, and each learns what the others proved."""

import json
from typing import Any

import pytest

from buildernet.attestation.node import (
    NodeStatement,
    key_digest,
    require_fresh,
    verify_node_evidence,
)
from buildernet.builder_hub.credentials import parse_certificates
from buildernet.builder_hub.measurements import build_policy, parse_posted
from tests.support.builder_hub import (
    API,
    REGISTERS,
    RunningHub,
    instance_headers,
    make_config,
    minted_verifier,
    running_hub,
)
from tests.support.hub_nodes import SimulatedNode, make_certificate
from tests.support.minted_chain import shared_chain
from tests.support.minted_pki import MINTED_AT

POST = "/tee_attestation"


@pytest.fixture
async def ready(hub: RunningHub) -> RunningHub:
    """A hub with one image and two builders."""
    await hub.add_measurement()
    await hub.add_builder("alpha")
    await hub.add_builder("beta", ip="5.6.7.8")
    return hub


async def verify_peer(entry: dict[str, Any], policy: bytes) -> None:
    """What a node does with an entry, from its fields alone."""
    leaf = parse_certificates(entry["tls_certificate"])[0]
    statement = NodeStatement(
        bytes.fromhex(entry["node_id"][2:]),
        key_digest(leaf),
        bytes.fromhex(entry["ecdsa_pubkey_address"][2:]),
        entry["ip_address"],
        entry["timestamp"],
    )
    require_fresh(entry["timestamp"], now=MINTED_AT, max_age_s=3600, what="evidence")
    verify_node_evidence(
        entry["attestation_type"],
        bytes.fromhex(entry["tee_attestation"][2:]),
        statement=statement,
        collateral=shared_chain().collateral(),
        at=MINTED_AT,
        measurements=build_policy(parse_posted(policy, unsafe=False), unsafe=False),
        roots=minted_verifier().roots,
    )


async def test_nodes_verify_one_another_without_trusting_the_hub(ready: RunningHub) -> None:
    alpha, beta = SimulatedNode(), SimulatedNode(ip="5.6.7.8")
    await ready.post("/builders/secrets/alpha", {"instance_name": "alpha"})
    await ready.send(POST, beta.attestation_request(), headers=instance_headers(ip="5.6.7.8"))
    answer = await ready.send(POST, alpha.attestation_request())
    assert answer["node_id"] == alpha.node_id
    assert answer["tls_certificate"] == alpha.pem
    assert answer["configuration"] == {"instance_name": "alpha"}
    assert answer["timestamp"] == MINTED_AT
    assert [peer["name"] for peer in answer["peer_list"]] == ["alpha", "beta"]
    measurements = await ready.instance.get("/api/l1-builder/v1/measurements")
    for peer in answer["peer_list"]:
        await verify_peer(peer, await measurements.read())
    listed = await ready.ask("/peers")
    assert listed["peer_list"] == answer["peer_list"]
    assert listed["max_evidence_age_seconds"] == 3600
    names = [event["event_name"] for event in await ready.get("/events?builder=alpha")]
    assert names == ["GetConfig", "TeeAttestation"]


async def test_configuration_is_passed_on_as_it_was_sent(ready: RunningHub) -> None:
    document = '{"a":  1.10, "b": 12345678901234567890.5, "c": "\\u00e9"}'
    await ready.post("/builders/secrets/alpha", document.encode())
    url, body = f"{API}{POST}", SimulatedNode().attestation_request()
    async with ready.instance.post(url, json=body, headers=instance_headers()) as answer:
        text = await answer.text()
    assert document in text
    assert json.loads(text)["configuration"] == json.loads(document)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ip_address": "5.6.7.8"}, "the caller's"),
        ({"timestamp": MINTED_AT - 301}, "301 s old"),
        ({"timestamp": MINTED_AT + 6}, "6 s in the future"),
        ({"timestamp": MINTED_AT - 1}, "report data"),
        ({"node_id": "0x" + "01" * 32}, "report data"),
        ({"ecdsa_pubkey_address": "0x" + "01" * 20}, "report data"),
        ({"ecdsa_pubkey_address": None}, "report data"),
        ({"tee_measurement": "0x" + "01" * 240}, "tee_measurement"),
        ({"tls_certificate": SimulatedNode().pem}, "report data"),
        ({"tee_attestation": "0x0102"}, "evidence is refused"),
        ({"attestation_type": "azure-tdx"}, "evidence is refused"),
    ],
)
async def test_evidence_that_does_not_fit_is_refused(
    sqlite_hub: RunningHub, changes: dict[str, Any], message: str
) -> None:
    await sqlite_hub.add_measurement()
    await sqlite_hub.add_builder()
    request = SimulatedNode().attestation_request(**changes)
    assert message in (await sqlite_hub.send(POST, request, status=422))["message"]
    assert (await sqlite_hub.ask("/peers"))["peer_list"] == []


async def test_evidence_of_another_image_is_refused(ready: RunningHub) -> None:
    """The proxy vouches for the caller, and still the evidence must be of an image."""
    node = SimulatedNode()
    other = node.quote(mrtd=b"\x12" * 48)
    measured = "0x" + "".join({**REGISTERS, "0": "12" * 48}.values())
    request = node.attestation_request(tee_attestation=f"0x{other.hex()}", tee_measurement=measured)
    assert "register mrtd" in (await ready.send(POST, request, status=422))["message"]


@pytest.mark.parametrize(
    "changes",
    [
        {"node_id": "0x00"},
        {"node_id": "0x" + "00" * 32},
        {"node_id": 1},
        {"timestamp": "now"},
        {"timestamp": True},
        {"timestamp": 10**30},
        {"ip_address": "a"},
        {"attestation_type": "none"},
        {"attestation_type": ["dcap-tdx"]},
        {"tls_certificate": "x"},
        {"tls_certificate": None},
        {"tee_attestation": "0x"},
        {"tee_attestation": "0xzz"},
        {"tee_attestation": "0x" + "00" * (128 * 1024 + 1)},
        {"ecdsa_pubkey_address": "0x01"},
    ],
)
async def test_malformed_request_is_named(sqlite_hub: RunningHub, changes: dict[str, Any]) -> None:
    await sqlite_hub.add_measurement()
    await sqlite_hub.add_builder()
    request = SimulatedNode().attestation_request(**changes)
    assert (await sqlite_hub.send(POST, request, status=400))["message"]


async def test_old_evidence_and_withdrawn_images_leave_the_list(hub_database: str) -> None:
    now = [float(MINTED_AT)]
    async with running_hub(hub_database, clock=lambda: now[0], migrated=True) as hub:
        await hub.add_measurement()
        await hub.add_builder()
        await hub.send(POST, SimulatedNode().attestation_request())

        async def names() -> list[str]:
            return [peer["name"] for peer in (await hub.ask("/peers"))["peer_list"]]

        now[0] += 3600
        assert await names() == ["alpha"]
        now[0] += 1
        assert await names() == []
        now[0] -= 1
        await hub.add_measurement({
            "measurement_id": "image-2", "attestation_type": "dcap-tdx",
            "measurements": {"mrtd": REGISTERS["0"]},
        })  # fmt: skip
        await hub.post("/measurements/activation/image-1", {"enabled": False})
        assert await names() == []
        await hub.post("/measurements/activation/image-1", {"enabled": True})
        moved = {"ip_address": "8.8.8.8", "dns_name": "", "network": "production"}
        async with hub.admin.put("/api/admin/v1/builders/alpha", json=moved) as answer:
            assert answer.status == 200
        elsewhere = instance_headers(ip="8.8.8.8")
        assert (await hub.ask("/peers", headers=elsewhere))["peer_list"] == []


async def test_newer_evidence_replaces_the_older(ready: RunningHub) -> None:
    first, second = SimulatedNode(), SimulatedNode()
    await ready.send(POST, first.attestation_request())
    await ready.send(POST, second.attestation_request())
    (peer,) = (await ready.ask("/peers"))["peer_list"]
    assert peer["node_id"] == second.node_id
    (shown,) = await ready.get("/attestations")
    assert shown["node_id"] == second.node_id
    assert "tee_attestation" not in shown


async def test_older_evidence_does_not_replace_newer(hub_database: str) -> None:
    now = [float(MINTED_AT)]
    async with running_hub(hub_database, clock=lambda: now[0], migrated=True) as hub:
        await hub.add_measurement()
        await hub.add_builder()
        late, early = SimulatedNode(timestamp=MINTED_AT + 5), SimulatedNode()
        await hub.send(POST, late.attestation_request())
        answer = await hub.send(POST, early.attestation_request(), status=422)
        assert answer["message"] == "evidence of 5 s later is stored"
        (peer,) = (await hub.ask("/peers"))["peer_list"]
        assert peer["node_id"] == late.node_id
        # The hub's clock was ahead when it took that, and is right again.
        now[0] -= 60
        early.timestamp -= 60
        await hub.send(POST, early.attestation_request())
        (peer,) = (await hub.ask("/peers"))["peer_list"]
        assert peer["node_id"] == early.node_id


async def test_node_id_belongs_to_one_builder(ready: RunningHub) -> None:
    node = SimulatedNode()
    await ready.send(POST, node.attestation_request())
    node.ip = "5.6.7.8"
    request = node.attestation_request()
    await ready.send(POST, request, headers=instance_headers(ip=node.ip), status=409)


async def test_expired_certificate_is_refused(ready: RunningHub) -> None:
    node = SimulatedNode()
    node.certificate = make_certificate(node.key, days=-1)
    answer = await ready.send(POST, node.attestation_request(), status=400)
    assert "expired" in answer["message"]


async def test_missing_collateral_is_no_verdict(sqlite_database: str) -> None:
    from buildernet.attestation.errors import CollateralError

    config = make_config()
    async with running_hub(sqlite_database, config, migrated=True) as hub:
        await hub.add_measurement()
        await hub.add_builder()

        async def none(_quote: bytes) -> Any:
            raise CollateralError("no collateral for this platform")

        object.__setattr__(hub.hub.verifier, "find_collateral", none)
        await hub.send(POST, SimulatedNode().attestation_request(), status=503)
