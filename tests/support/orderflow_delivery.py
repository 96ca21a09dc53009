# SPDX-License-Identifier: MIT
"""Delivery to nodes on real sockets, and what it counted about them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest
from prometheus_client import CollectorRegistry

from buildernet.ethereum.signature import SigningKey
from buildernet.orderflow_proxy import builder as builder_module
from buildernet.orderflow_proxy import delivery as delivery_module
from buildernet.orderflow_proxy.delivery import DeliverySettings, Running, delivering
from buildernet.orderflow_proxy.sending import head as head_module
from tests.support.orderflow_nodes import Certificate, Node, write_peers

BUILDER: Final = "builder"


def make_brisk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask ten times as often; what cannot be delivered at the end is not waited for."""
    monkeypatch.setattr(head_module, "POLL_S", 0.1)
    monkeypatch.setattr(builder_module, "READY_POLL_S", 0.1)
    monkeypatch.setattr(delivery_module, "DRAIN_S", 0.2)


class Ledger:
    """Reads the counters of one destination."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def count(self, name: str, **labels: str) -> int:
        value = self._registry.get_sample_value(f"orderflow_proxy_delivery_{name}", labels)
        return int(value or 0)

    def dropped(self, peer: str) -> dict[str, int]:
        found = {}
        for metric in self._registry.collect():
            for sample in metric.samples:
                if sample.name == "orderflow_proxy_delivery_dropped_total":
                    labels = sample.labels
                    if labels["peer"] == peer and sample.value:
                        found[labels["reason"]] = int(sample.value)
        return found

    def series(self, peer: str) -> set[str]:
        """Names of the series about one destination."""
        return {
            sample.name
            for metric in self._registry.collect()
            for sample in metric.samples
            if sample.labels.get("peer") == peer
        }

    def refused(self, reason: str) -> int:
        """How many entries of lists were refused for a reason."""
        name = "orderflow_proxy_peer_entries_refused_total"
        return int(self._registry.get_sample_value(name, {"reason": reason}) or 0)

    def accepted(self, peer: str) -> int:
        return self.count("accepted_total", peer=peer)

    def delivered(self, peer: str) -> int:
        return self.count("delivered_total", peer=peer)

    def waiting(self, peer: str) -> int:
        return self.count("waiting", peer=peer)

    def require_balance(self, peer: str) -> None:
        out = self.delivered(peer) + sum(self.dropped(peer).values()) + self.waiting(peer)
        assert self.accepted(peer) == out


def entry(name: str, node: Node | int, certificate: Certificate | None = None) -> dict[str, Any]:
    port = node if isinstance(node, int) else node.port
    place = {"name": name, "ip": f"127.0.0.1:{port}"}
    if certificate is None:
        return {**place, "plain_http": True}
    return {**place, "instance": {"tls_cert": certificate.pem}}


@asynccontextmanager
async def deliver(
    tmp_path: Path, *peers: dict[str, Any], **settings: Any
) -> AsyncIterator[tuple[Running, Ledger, SigningKey]]:
    registry, key = CollectorRegistry(), SigningKey.generate()
    file = write_peers(tmp_path / "peers.json", list(peers))
    async with delivering(
        DeliverySettings(static_peers=file, **settings), key=key, registry=registry
    ) as run:
        yield run, Ledger(registry), key


def url(node: Node) -> str:
    return f"http://127.0.0.1:{node.port}"
