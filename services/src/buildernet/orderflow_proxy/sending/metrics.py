# SPDX-License-Identifier: MIT
"""Counters of what goes out: per destination, accepted = delivered + dropped + waiting."""

from collections.abc import Sequence
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from buildernet.orderflow_proxy.sending.outbox import DropReason

_PREFIX: Final = "orderflow_proxy_"
_BUCKETS_MS: Final = (0.25, 0.5, 1, 2, 4, 8, 16, 32, 64, 125, 250, 500, 1000, 2000, 5000, 10000)
_BUCKETS_ORDERS: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256)

ENTRY: Final = "entry"
"""Why an entry is refused that is no entry; other reasons are the verifier's."""


class DeliveryMetrics:
    """The metrics of every destination; those that the Go proxy has keep its names."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Register them.

        Args:
            registry: The service's.
        """

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(_PREFIX + name, text, labels, registry=registry)

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(_PREFIX + name, text, labels, registry=registry)

        def histogram(name: str, text: str, buckets: Sequence[float]) -> Histogram:
            return Histogram(_PREFIX + name, text, ["peer"], buckets=buckets, registry=registry)

        self.accepted = counter("delivery_accepted", "Orders queued for a destination.", "peer")
        self.delivered = counter("delivery_delivered", "Orders a destination took.", "peer")
        self.dropped = counter(
            "delivery_dropped", "Orders a destination did not get, by reason.", "peer", "reason"
        )
        self.retries = counter(
            "delivery_retries", "Orders put back into a destination's queue.", "peer"
        )
        self.waiting = gauge(
            "delivery_waiting", "Orders queued or under way to a destination.", "peer"
        )
        self.connections = gauge(
            "delivery_connections", "Open connections to a destination.", "peer"
        )
        self.batch = histogram("delivery_batch_orders", "Orders in one request.", _BUCKETS_ORDERS)
        self.queued_ms = histogram(
            "share_queue_peer_queue_duration_milliseconds",
            "From the queue to the request that carries the order.",
            _BUCKETS_MS,
        )
        self.rpc_ms = histogram(
            "share_queue_peer_rpc_duration_milliseconds",
            "From a request to its answer.",
            _BUCKETS_MS,
        )
        self.rpc_errors = counter(
            "share_queue_peer_rpc_errors", "Requests without an answer, or with a refusal.", "peer"
        )
        self.stalling = counter(
            "share_queue_peer_stalling_errors", "Orders dropped because the queue was full.", "peer"
        )
        self.clock_refused = counter(
            "delivery_clock_refused",
            "Requests that a peer refused because its clock and ours differ.",
            "peer",
        )
        self.clock_ahead_s = gauge(
            "delivery_clock_ahead_seconds",
            "Our time less a peer's, by its last answer, which has whole seconds.",
            "peer",
        )
        self.hub_errors = counter("confighub_errors", "Requests to the hub that failed.")
        self.peers = gauge("peers", "Other nodes that orders go to.")
        self.peers_refused = counter(
            "peer_entries_refused",
            "Entries of the hub's list that could not be used, by reason.",
            "reason",
        )

    def forget(self, peer: str) -> None:
        """Remove the series of a destination: a hub could name new ones without end."""
        for metric in vars(self).values():
            if "peer" in metric._labelnames:  # it has no public name
                metric.remove_by_labels({"peer": peer})


class DestinationMetrics:
    """The metrics of one destination, looked up once."""

    def __init__(self, metrics: DeliveryMetrics, name: str) -> None:
        """Look them up.

        Args:
            metrics: Of all destinations.
            name: The peer's name, or `builder`.
        """
        self.accepted = metrics.accepted.labels(name)
        self.delivered = metrics.delivered.labels(name)
        self.retries = metrics.retries.labels(name)
        self.waiting = metrics.waiting.labels(name)
        self.connections = metrics.connections.labels(name)
        self.batch = metrics.batch.labels(name)
        self.queued_ms = metrics.queued_ms.labels(name)
        self.rpc_ms = metrics.rpc_ms.labels(name)
        self.rpc_errors = metrics.rpc_errors.labels(name)
        self.stalling = metrics.stalling.labels(name)
        self.clock_refused = metrics.clock_refused.labels(name)
        self.clock_ahead_s = metrics.clock_ahead_s.labels(name)
        self.dropped = {reason: metrics.dropped.labels(name, reason) for reason in DropReason}
