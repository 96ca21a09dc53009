# SPDX-License-Identifier: MIT
"""Counters of what goes out: per destination, accepted = delivered + dropped + waiting."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from buildernet.orderflow_proxy.sending.outbox import DropReason

_PREFIX: Final = "orderflow_proxy_"
_BUCKETS_MS: Final = (0.25, 0.5, 1, 2, 4, 8, 16, 32, 64, 125, 250, 500, 1000, 2000, 5000, 10000)

ENTRY: Final = "entry"
"""Why an entry is refused that is no entry; other reasons are the verifier's."""


class DeliveryMetrics:
    """The metrics of every destination; those that the Go proxy has keep its names."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Register them.

        Args:
            registry: The service's.
        """
        self.accepted = Counter(
            f"{_PREFIX}delivery_accepted",
            "Orders queued for a destination.",
            ["peer"],
            registry=registry,
        )
        self.delivered = Counter(
            f"{_PREFIX}delivery_delivered",
            "Orders a destination took.",
            ["peer"],
            registry=registry,
        )
        self.dropped = Counter(
            f"{_PREFIX}delivery_dropped",
            "Orders a destination did not get, by reason.",
            ["peer", "reason"],
            registry=registry,
        )
        self.retries = Counter(
            f"{_PREFIX}delivery_retries",
            "Orders put back into a destination's queue.",
            ["peer"],
            registry=registry,
        )
        self.waiting = Gauge(
            f"{_PREFIX}delivery_waiting",
            "Orders queued or under way to a destination.",
            ["peer"],
            registry=registry,
        )
        self.connections = Gauge(
            f"{_PREFIX}delivery_connections",
            "Open connections to a destination.",
            ["peer"],
            registry=registry,
        )
        self.batch = Histogram(
            f"{_PREFIX}delivery_batch_orders",
            "Orders in one request.",
            ["peer"],
            buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256),
            registry=registry,
        )
        self.queued_ms = Histogram(
            f"{_PREFIX}share_queue_peer_queue_duration_milliseconds",
            "From the queue to the request that carries the order.",
            ["peer"],
            buckets=_BUCKETS_MS,
            registry=registry,
        )
        self.rpc_ms = Histogram(
            f"{_PREFIX}share_queue_peer_rpc_duration_milliseconds",
            "From a request to its answer.",
            ["peer"],
            buckets=_BUCKETS_MS,
            registry=registry,
        )
        self.rpc_errors = Counter(
            f"{_PREFIX}share_queue_peer_rpc_errors",
            "Requests without an answer, or with a refusal.",
            ["peer"],
            registry=registry,
        )
        self.stalling = Counter(
            f"{_PREFIX}share_queue_peer_stalling_errors",
            "Orders dropped because the queue was full.",
            ["peer"],
            registry=registry,
        )
        self.hub_errors = Counter(
            f"{_PREFIX}confighub_errors", "Requests to the hub that failed.", registry=registry
        )
        self.peers = Gauge(f"{_PREFIX}peers", "Other nodes that orders go to.", registry=registry)
        self.peers_refused = Counter(
            f"{_PREFIX}peer_entries_refused",
            "Entries of the hub's list that could not be used, by reason.",
            ["reason"],
            registry=registry,
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
        self.dropped = {reason: metrics.dropped.labels(name, reason) for reason in DropReason}
