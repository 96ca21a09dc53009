# SPDX-License-Identifier: MIT
"""What is counted about a peer outlives it, and peers without end do not outlive one another."""

from prometheus_client import CollectorRegistry

from buildernet.orderflow_proxy.sending.metrics import (
    MAX_GONE,
    DeliveryMetrics,
    DestinationMetrics,
)


def count(registry: CollectorRegistry, peer: str) -> float | None:
    return registry.get_sample_value("orderflow_proxy_delivery_delivered_total", {"peer": peer})


def test_a_peer_that_comes_back_counts_on() -> None:
    registry = CollectorRegistry()
    metrics = DeliveryMetrics(registry)
    DestinationMetrics(metrics, "back").delivered.inc(2)
    metrics.left("back")
    DestinationMetrics(metrics, "back").delivered.inc()
    for number in range(MAX_GONE + 1):
        metrics.left(f"other-{number}")
    assert count(registry, "back") == 3


def test_names_without_end_leave_a_bounded_number_of_series() -> None:
    registry = CollectorRegistry()
    metrics = DeliveryMetrics(registry)
    for number in range(MAX_GONE + 2):
        DestinationMetrics(metrics, f"peer-{number}")
        metrics.left(f"peer-{number}")
    assert [count(registry, f"peer-{number}") for number in (0, 1, 2)] == [None, None, 0]
    text = {sample.labels.get("peer") for metric in registry.collect() for sample in metric.samples}
    assert len(text - {None}) == MAX_GONE
