# SPDX-License-Identifier: MIT
"""A real hub process passes evidence on; a node believes the evidence, and not the hub."""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, web
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from prometheus_client import CollectorRegistry

from buildernet.attestation.collateral.documents import encode_bundle
from buildernet.base.errors import ConfigError
from buildernet.ethereum.signature import SigningKey
from buildernet.orderflow_proxy import delivery as delivery_module
from buildernet.orderflow_proxy.config import Evidence, Peering, ReceiverConfig
from buildernet.orderflow_proxy.delivery import DeliverySettings, Running, delivering
from buildernet.orderflow_proxy.hub import PeerListKind
from buildernet.orderflow_proxy.order import UnknownPeerError
from buildernet.orderflow_proxy.peer_evidence import verifying
from buildernet.orderflow_proxy.running import run_receiver
from tests.support.builder_hub import API, MEASUREMENT, instance_headers
from tests.support.hub_nodes import SimulatedNode
from tests.support.minted_chain import Domain
from tests.support.orderflow_delivery import Ledger, make_brisk
from tests.support.orderflow_nodes import Node, make_certificate, make_order, running, until
from tests.support.simulated_tee.chain import collateral_at, load_chain

PEER_IP, OWN_IP = "5.6.7.8", "1.2.3.4"
_MAIN = "import sys; from buildernet.builder_hub.cli import main; sys.exit(main())"


@pytest.fixture(autouse=True)
def _brisk(monkeypatch: pytest.MonkeyPatch) -> None:
    make_brisk(monkeypatch)
    monkeypatch.setattr(delivery_module, "_SOONEST_REFRESH_S", 0.02)


@contextmanager
def hub_process(folder: Path) -> Iterator[dict[str, int]]:
    """Run the hub on simulated hardware's root; yields its ports."""
    arguments = [
        f"--{kind}-addr=127.0.0.1:0" for kind in ("listen", "admin", "internal", "metrics")
    ]
    arguments += ["--disable-admin-auth", "--log-json", f"--config={folder / 'hub.toml'}"]
    trusted = {"trust_root": folder / "root.pem", "collateral": folder / "bundle.json"}
    lines = ["[attestation]", *(f'{name} = "{path}"' for name, path in trusted.items())]
    (folder / "hub.toml").write_text("\n".join(lines))
    popen = subprocess.Popen(
        [sys.executable, "-c", _MAIN, *arguments],
        cwd=folder,
        stderr=subprocess.PIPE,
        text=True,
        env=dict(os.environ),
    )
    try:
        assert popen.stderr is not None
        ports: list[int] = []
        while len(ports) < 4:
            line = popen.stderr.readline()
            assert line
            if (said := json.loads(line)["msg"]).startswith("listening "):
                ports.append(int(said.rpartition(":")[2]))
        yield dict(zip(("internal", "admin", "metrics", "instance"), ports, strict=True))
    finally:
        popen.kill()
        popen.communicate()


def tell_the_truth(_entry: dict[str, Any]) -> None:
    """Change nothing."""


class Front:
    """What stands between node and hub, and lies when a test says so."""

    def __init__(self, session: ClientSession, hub: int, peer: Node) -> None:
        self._session = session
        self._hub = f"http://127.0.0.1:{hub}"
        self._peer = peer
        self.lie: Callable[[dict[str, Any]], None] = tell_the_truth
        self.lists = 0

    async def answer(self, request: web.Request) -> web.Response:
        headers = instance_headers(ip=OWN_IP)
        if signature := request.headers.get("X-BuilderNet-Signature"):
            headers["X-BuilderNet-Signature"] = signature
        body = await request.read()
        url = self._hub + request.path
        async with self._session.request(request.method, url, data=body, headers=headers) as got:
            status, content = got.status, await got.read()
        if request.path == f"{API}/peers":
            assert status == 200, content
            document = json.loads(content)
            for entry in document["peer_list"]:
                # Where it stands is the hub's to say: without the attested key it is of no use.
                entry["dns_name"] = f"127.0.0.1:{self._peer.port}"
                self.lie(entry)
            content = json.dumps(document).encode()
            self.lists += 1
        return web.Response(status=status, body=content)

    async def refreshed(self) -> None:
        seen = self.lists
        await until(lambda: self.lists > seen + 1, "the list is fetched again")


async def fill(session: ClientSession, ports: dict[str, int], posted: dict[str, Any]) -> None:
    """Two builders and an image; the second builder attests."""
    admin = f"http://127.0.0.1:{ports['admin']}/api/admin/v1"
    wanted: list[tuple[str, dict[str, Any]]] = [
        ("/measurements", MEASUREMENT),
        (f"/measurements/activation/{MEASUREMENT['measurement_id']}", {"enabled": True}),
    ]
    for name, ip in (("alpha", OWN_IP), ("beta", PEER_IP)):
        wanted += [
            ("/builders", {"name": name, "ip_address": ip, "network": "production"}),
            (f"/builders/configuration/{name}", {}),
            (f"/builders/activation/{name}", {"enabled": True}),
        ]
    for path, body in wanted:
        async with session.post(admin + path, json=body) as answer:
            assert answer.status == 200, await answer.text()
    url = f"http://127.0.0.1:{ports['instance']}{API}/tee_attestation"
    async with session.post(url, json=posted, headers=instance_headers(ip=PEER_IP)) as answer:
        assert answer.status == 200, await answer.text()


class Network:
    """The peer, the hub with its front, and our node."""

    run: Running
    ledger: Ledger
    front: Front
    peer: Node
    identity: SimulatedNode


@pytest.fixture
async def network(tmp_path: Path) -> AsyncIterator[Network]:
    chain, now = load_chain(), int(time.time())
    (tmp_path / "root.pem").write_bytes(chain.root.pem)
    (tmp_path / "bundle.json").write_text(encode_bundle([collateral_at(chain, now)]))
    (tmp_path / "measurements.json").write_text(json.dumps([MEASUREMENT]))
    shown = make_certificate("beta")
    key = load_pem_private_key(shown.key_pem.encode(), password=None)
    identity = SimulatedNode(ip=PEER_IP, key=key, timestamp=now)  # type: ignore[arg-type]
    identity.certificate = x509.load_pem_x509_certificate(shown.pem.encode())
    quote = chain.quote(Domain(report_data=identity.statement().report_data()))
    posted = identity.attestation_request(tee_attestation=f"0x{quote.hex()}")
    demands = Evidence(
        measurements=tmp_path / "measurements.json",
        trust_root=tmp_path / "root.pem",
        collateral=tmp_path / "bundle.json",
    )
    made, registry = Network(), CollectorRegistry()
    made.identity, made.ledger = identity, Ledger(registry)
    async with AsyncExitStack() as stack:
        ports = stack.enter_context(hub_process(tmp_path))
        session = await stack.enter_async_context(ClientSession())
        made.peer = await stack.enter_async_context(running(Node(), certificate=shown))
        made.front = Front(session, ports["instance"], made.peer)
        await fill(session, ports, posted)
        server = await stack.enter_async_context(running(Node(answer=made.front.answer)))
        verify = await stack.enter_async_context(verifying(demands))
        settings = DeliverySettings(
            hub_endpoint=f"http://127.0.0.1:{server.port}",
            listed=PeerListKind.EVIDENCE,
            update_interval_s=0.05,
        )
        key_ = SigningKey.generate()
        made.run = await stack.enter_async_context(
            delivering(settings, key=key_, registry=registry, verify=verify)
        )
        yield made


async def test_orders_go_to_whom_the_evidence_names_whatever_the_hub_says(network: Network) -> None:
    run, front, signer = network.run, network.front, network.identity.signing.address
    await until(lambda: list(run.peers.links) == ["beta"], "the peer is believed")
    assert run.peers.authorise(signer) == "beta"
    run.delivery.submit(make_order(1))
    await until(lambda: network.peer.numbers == [1], "the peer has the order")

    impostor, other = make_certificate("impostor"), SigningKey.generate().address
    async with running(Node(), certificate=impostor) as thief:

        def swap(entry: dict[str, Any]) -> None:
            entry["dns_name"] = f"127.0.0.1:{thief.port}"
            entry["tls_certificate"] = impostor.pem

        front.lie = swap
        await until(lambda: not run.peers.links, "the impostor is refused")
        assert network.ledger.refused("step_L") > 0
        with pytest.raises(UnknownPeerError):
            run.peers.authorise(signer)

        def add(entry: dict[str, Any]) -> None:
            entry["dns_name"] = f"127.0.0.1:{thief.port}"
            entry["instance"] = {"tls_cert": impostor.pem}
            entry["orderflow_proxy"] = {"ecdsa_pubkey_address": other.hex()}

        front.lie = add
        await until(lambda: list(run.peers.links) == ["beta"], "the proved part is believed")
        run.delivery.submit(make_order(2))
        await front.refreshed()
        with pytest.raises(UnknownPeerError):
            run.peers.authorise(other)
        front.lie = tell_the_truth
        await until(lambda: network.peer.numbers == [1, 2], "the order waited for the real one")
        assert (thief.numbers, thief.requests) == ([], 0)

    def hide(entry: dict[str, Any]) -> None:
        del entry["tee_attestation"]

    front.lie = hide
    await until(lambda: not run.peers.links)
    assert network.ledger.refused("missing") > 0


async def test_receiver_does_not_start_with_a_hub_and_no_demands() -> None:
    peering = Peering(hub_endpoint="http://127.0.0.1:9")
    with pytest.raises(ConfigError, match="which images"):
        async with asyncio.timeout(20):
            await run_receiver(ReceiverConfig(peering=peering))
