# SPDX-License-Identifier: MIT
"""The hub's list of peers and what changes with it; registration with a hub that fails first."""

import asyncio
import json
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from cryptography import x509
from prometheus_client import CollectorRegistry

from buildernet.attestation.node import verify_possession
from buildernet.ethereum.address import Address
from buildernet.ethereum.signature import SigningKey, verify_body
from buildernet.orderflow_proxy import delivery as delivery_module
from buildernet.orderflow_proxy import hub as hub_module
from buildernet.orderflow_proxy.delivery import DeliverySettings, Running, delivering
from buildernet.orderflow_proxy.order import UnknownPeerError
from buildernet.orderflow_proxy.peer import Peer, PeerRefusedError
from buildernet.orderflow_proxy.peers import believe_hub
from tests.support.orderflow_delivery import Ledger, make_brisk
from tests.support.orderflow_nodes import (
    DEADLINE_S,
    Certificate,
    Node,
    make_certificate,
    make_order,
    running,
    until,
)

CHALLENGE = b"\x07" * 40


@pytest.fixture(autouse=True)
def _brisk(monkeypatch: pytest.MonkeyPatch) -> None:
    make_brisk(monkeypatch)
    monkeypatch.setattr(delivery_module, "_SOONEST_REFRESH_S", 0.02)
    monkeypatch.setattr(delivery_module, "_WATCH_S", 0.02)
    monkeypatch.setattr(hub_module, "REGISTER_FIRST_S", 0.01)
    monkeypatch.setattr(hub_module, "REGISTER_LONGEST_S", 0.02)


class Hub:
    """A hub whose answers a test decides."""

    def __init__(self, *, challenges: bool = True) -> None:
        self.entries: list[dict[str, Any]] = []
        self.status = 200
        self.failures = 0
        self.fetched = 0
        self.challenges = challenges
        self.registered: list[tuple[str, dict[str, Any], bytes, str | None]] = []

    async def answer(self, request: web.Request) -> web.Response:
        if request.method == "POST":
            if self.failures > 0:
                self.failures -= 1
                return web.Response(status=500)
            body = await request.read()
            service = request.path.rpartition("/")[2]
            signature = request.headers.get("X-BuilderNet-Signature")
            self.registered.append((service, json.loads(body), body, signature))
            return web.Response()
        if request.path.endswith("/challenge"):
            if not self.challenges:
                return web.Response(status=404)
            return web.json_response({"challenge": f"0x{CHALLENGE.hex()}", "expires_at": 1})
        self.fetched += 1
        return web.json_response(self.entries, status=self.status)

    async def refreshed(self) -> None:
        seen = self.fetched
        await until(lambda: self.fetched > seen + 1, "the hub is asked again")


def entry(name: str, node: Node, certificate: Certificate, address: str = "") -> dict[str, Any]:
    return {
        "name": name,
        "ip": f"127.0.0.1:{node.port}",
        "dns_name": "",
        "orderflow_proxy": {"ecdsa_pubkey_address": address},
        "instance": {"tls_cert": certificate.pem},
    }


@asynccontextmanager
async def node_of(hub: Hub, **settings: Any) -> AsyncIterator[tuple[Running, Ledger, SigningKey]]:
    registry, key = CollectorRegistry(), SigningKey.generate()
    verify = settings.pop("verify", believe_hub)
    async with running(Node(answer=hub.answer)) as server:
        values = DeliverySettings(
            hub_endpoint=f"http://127.0.0.1:{server.port}", update_interval_s=0.05, **settings
        )
        async with delivering(values, key=key, registry=registry, verify=verify) as run:
            yield run, Ledger(registry), key


async def test_unchanged_peer_keeps_its_connections_and_removed_ones_go() -> None:
    hub, certificate = Hub(), make_certificate()
    async with (
        running(Node(), certificate=certificate) as stays,
        running(Node(), certificate=certificate) as leaves,
        node_of(hub) as (run, ledger, _),
    ):
        hub.entries = [entry("stays", stays, certificate), entry("leaves", leaves, certificate)]
        await until(lambda: len(run.peers.links) == 2)
        link = run.peers.links["stays"]
        connections = 0  # one; two where the first order came while the first was being made
        for number in range(5):
            run.delivery.submit(make_order(number))
            await until(lambda: ledger.waiting("stays") == 0 == ledger.waiting("leaves"))
            await hub.refreshed()
            connections = connections or len(stays.connections)
        assert len(stays.connections) == connections
        hub.entries = [entry("stays", stays, certificate), {"name": "broken"}]
        leaving = run.peers.links["leaves"]
        await until(lambda: len(run.peers.links) == 1)
        assert leaving.is_empty
        assert ledger.series("leaves") == ledger.series("stays"), "it may come back"
        assert run.peers.links["stays"] is link
        run.delivery.submit(make_order(9))
        await until(lambda: stays.numbers[-1:] == [9])
        assert 9 not in leaves.numbers


async def test_changed_certificate_keeps_the_queue_and_loses_nothing() -> None:
    hub, old, new = Hub(), make_certificate(), make_certificate()
    async with running(Node(), certificate=new) as peer, node_of(hub) as (run, ledger, _):
        hub.entries = [entry("peer", peer, old)]
        await until(lambda: "peer" in run.peers.links)
        link = run.peers.links["peer"]
        for number in range(20):
            run.delivery.submit(make_order(number))
        await until(lambda: link.reachable is False)
        hub.entries = [entry("peer", peer, new)]
        await until(lambda: ledger.delivered("peer") == 20)
        assert run.peers.links["peer"] is link
        assert sorted(peer.numbers) == list(range(20))
        assert ledger.dropped("peer") == {}


async def test_other_certificate_makes_the_list_be_fetched_before_its_time() -> None:
    hub, old, new = Hub(), make_certificate(), make_certificate()
    registry = CollectorRegistry()
    async with running(Node(), certificate=new) as peer, running(Node(answer=hub.answer)) as server:
        hub.entries = [entry("peer", peer, old)]
        settings = DeliverySettings(
            hub_endpoint=f"http://127.0.0.1:{server.port}", update_interval_s=3600
        )
        async with delivering(settings, key=SigningKey.generate(), registry=registry) as run:
            await until(lambda: "peer" in run.peers.links)
            hub.entries = [entry("peer", peer, new)]
            run.delivery.submit(make_order(1))
            await until(lambda: peer.numbers == [1])


async def test_failing_hub_keeps_the_list_and_a_refusing_one_empties_it() -> None:
    hub, certificate = Hub(), make_certificate()
    async with running(Node(), certificate=certificate) as peer, node_of(hub) as (run, _, _):
        hub.entries = [entry("peer", peer, certificate, "0x" + "cd" * 20)]
        await until(lambda: len(run.peers.links) == 1)
        hub.status = 500
        await hub.refreshed()
        assert len(run.peers.links) == 1
        assert run.peers.authorise(Address(b"\xcd" * 20)) == "peer"
        hub.status = 403
        await until(lambda: not run.peers.links)
        with pytest.raises(UnknownPeerError):
            run.peers.authorise(Address(b"\xcd" * 20))


async def test_own_entry_is_skipped_by_address_and_by_name() -> None:
    hub, certificate = Hub(), make_certificate()
    flashbots = Address(b"\xfb" * 20)
    async with (
        running(Node(), certificate=certificate) as node,
        node_of(hub, node_name="node-1", flashbots_signer=flashbots) as (run, _, key),
    ):
        hub.entries = [
            entry("a", node, certificate, key.address.hex().upper().replace("0X", "0x")),
            entry("node_1", node, certificate, "0x" + "01" * 20),
            entry("b", node, certificate, "0x" + "02" * 20),
        ]
        await until(lambda: list(run.peers.links) == ["b"])
        assert run.peers.authorise(flashbots) == "flashbots"
        assert run.peers.authorise(Address(b"\x02" * 20)) == "b"
        with pytest.raises(UnknownPeerError):
            run.peers.authorise(key.address)


async def test_peer_whose_evidence_is_refused_neither_gets_nor_gives() -> None:
    hub, certificate = Hub(), make_certificate()
    asked: list[str] = []

    async def verify(peer: Peer) -> Peer:
        asked.append(peer.name)
        if peer.name == "spoiled":
            raise RuntimeError("a defect")
        if peer.evidence is None:
            raise PeerRefusedError("missing", "no evidence")
        return peer

    async with (
        running(Node(), certificate=certificate) as node,
        node_of(hub, verify=verify) as (run, ledger, _),
    ):
        hub.entries = [
            entry("without", node, certificate, "0x" + "01" * 20),
            entry("spoiled", node, certificate, "0x" + "03" * 20),
            {**entry("proved", node, certificate, "0x" + "02" * 20), "tee_attestation": "0x00"},
        ]
        await until(lambda: list(run.peers.links) == ["proved"])
        await hub.refreshed()
        for signer in (b"\x01", b"\x03"):
            with pytest.raises(UnknownPeerError):
                run.peers.authorise(Address(signer * 20))
        assert ledger.refused("missing") > 0 < ledger.refused("failed")
        hub.status = 500  # nobody to ask for a new list, but what is known still ages
        await hub.refreshed()
        seen = asked.count("proved")
        await until(lambda: asked.count("proved") > seen)
        assert list(run.peers.links) == ["proved"]


@pytest.mark.parametrize("challenges", [True, False])
async def test_registration_is_repeated_until_it_works_and_proves_its_keys(
    challenges: bool, tmp_path: Path
) -> None:
    hub, first, second = Hub(challenges=challenges), make_certificate("a"), make_certificate("b")
    hub.failures = 3
    file, key_file = tmp_path / "cert.pem", tmp_path / "key.pem"

    def store(certificate: Certificate) -> None:
        key_file.write_text(certificate.key_pem)
        (tmp_path / "new").write_text(certificate.pem)
        (tmp_path / "new").rename(file)

    store(first)
    async with node_of(hub, certificate_file=file, certificate_key_file=key_file) as (_, _, key):
        await until(lambda: len(hub.registered) == 2)
        service, document, body, signature = hub.registered[0]
        assert (service, document["ecdsa_pubkey_address"]) == (
            "orderflow_proxy",
            key.address.hex(),
        )
        assert ("challenge" in document) == challenges
        if challenges:
            assert verify_body(signature, body) == key.address
        store(second)
        await until(lambda: len(hub.registered) == 3)
        service, document, _, _ = hub.registered[2]
        assert (service, document["tls_cert"]) == ("instance", second.pem)
        if challenges:
            leaf = x509.load_pem_x509_certificate(second.pem.encode())
            proof = bytes.fromhex(document["tls_cert_signature"].removeprefix("0x"))
            verify_possession(leaf, proof, challenge=CHALLENGE)


async def test_a_key_of_an_unknown_kind_is_not_the_end(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    hub, made = Hub(challenges=True), make_certificate()
    file, key_file = tmp_path / "cert.pem", tmp_path / "key.pem"
    unknown = b64encode(bytes.fromhex("3010020100300506032a03040404abcdabcd")).decode()  # PKCS 8
    file.write_text(made.pem)
    key_file.write_text(f"-----BEGIN PRIVATE KEY-----\n{unknown}\n-----END PRIVATE KEY-----\n")
    async with node_of(hub, certificate_file=file, certificate_key_file=key_file):
        await until(lambda: "certificate_unusable" in caplog.text)
        key_file.write_text(made.key_pem)
        (tmp_path / "new").write_text(made.pem)
        (tmp_path / "new").rename(file)
        await until(lambda: len(hub.registered) == 2)
        assert hub.registered[1][0] == "instance"


async def test_peers_are_known_although_the_registration_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(delivery_module, "_REGISTRATION_S", 0.05)
    hub, certificate = Hub(), make_certificate()
    hub.failures = 10**6
    async with running(Node(), certificate=certificate) as node:
        hub.entries = [entry("other", node, certificate)]
        async with node_of(hub) as (run, _, _):
            await until(lambda: "other" in run.peers.links)
    assert hub.registered == []


async def test_the_first_look_at_the_list_is_said_when_its_peers_are_known() -> None:
    hub, certificate = Hub(), make_certificate()
    async with running(Node(), certificate=certificate) as node:
        hub.entries = [entry("other", node, certificate)]
        async with node_of(hub) as (run, _, _):
            assert not run.looked.is_set()
            async with asyncio.timeout(DEADLINE_S):
                await run.looked.wait()
            assert "other" in run.peers.links


async def test_node_that_the_hub_forgot_registers_again() -> None:
    hub, certificate = Hub(), make_certificate()
    async with running(Node(), certificate=certificate) as node, node_of(hub) as (run, _, key):
        hub.entries = [entry("me", node, certificate, key.address.hex())]
        await hub.refreshed()
        seen = len(hub.registered)
        await hub.refreshed()
        assert len(hub.registered) == seen
        hub.entries = [entry("other", node, certificate)]
        await until(lambda: len(hub.registered) > seen)
        assert "other" in run.peers.links
