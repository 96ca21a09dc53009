# SPDX-License-Identifier: MIT
"""Orders are counted by who sent them, and senders without end leave no series without end."""

from prometheus_client import CollectorRegistry

from buildernet.orderflow_proxy import metrics as module
from buildernet.orderflow_proxy.metrics import Outcome, ReceiverMetrics

NAME = "orderflow_proxy_api_incoming_requests_by_peer"


def test_series_by_peer_are_bounded(monkeypatch):
    monkeypatch.setattr(module, "_MAX_SERIES", 8)
    registry = CollectorRegistry()
    counted = ReceiverMetrics(registry)
    for number in range(100):
        counted.count(
            Outcome.ACCEPTED, source="peer", method="eth_sendBundle", peer=f"peer-{number}"
        )
    peers = {
        sample.labels["peer"]
        for metric in registry.collect()
        if metric.name == NAME
        for sample in metric.samples
    }
    assert 1 <= len(peers) <= 8
    assert registry.get_sample_value(f"{NAME}_total", {"peer": "peer-99"}) == 1
