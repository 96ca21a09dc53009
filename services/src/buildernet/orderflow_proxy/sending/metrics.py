# SPDX-License-Identifier: MIT
"""Counters of what goes out: per destination, accepted = delivered + dropped + waiting."""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.metrics import MetricWrapperBase

from buildernet.orderflow_proxy.sending.outbox import DropReason

_PREFIX: Final = "orderflow_proxy_"
_BUCKETS_MS: Final = (0.25, 0.5, 1, 2, 4, 8, 16, 32, 64, 125, 250, 500, 1000, 2000, 5000, 10000)
_BUCKETS_ORDERS: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256)

MAX_GONE: Final = 256
"""Peers that have left whose series are kept: as many as a list may have."""

ENTRY: Final = "entry"
"""Why an entry is refused that is no entry; other reasons are the verifier's."""


class DeliveryMetrics:
    """The metrics of every destination; those that the Go proxy has keep its names."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Register them.

        Args:
            registry: The service's.
        """
        self._gone: OrderedDict[str, None] = OrderedDict()

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

    def left(self, peer: str) -> None:
        """Note that a destination is gone; of those gone longest the series are removed.

        What was counted stays for a while: an account of orders must not lose those of a peer
        that was away for a minute. But a hub could name new ones without end.
        """
        self._gone.pop(peer, None)
        self._gone[peer] = None
        while len(self._gone) > MAX_GONE:
            self._remove(self._gone.popitem(last=False)[0])

    def came(self, peer: str) -> None:
        """Note that a destination is there."""
        self._gone.pop(peer, None)

    def _remove(self, peer: str) -> None:
        for metric in vars(self).values():
            # The names of its labels have no public name.
            if isinstance(metric, MetricWrapperBase) and "peer" in metric._labelnames:
                metric.remove_by_labels({"peer": peer})


class DestinationMetrics:
    """The metrics of one destination, looked up once."""

    def __init__(self, metrics: DeliveryMetrics, name: str) -> None:
        """Look them up.

        Args:
            metrics: Of all destinations.
            name: The peer's name, or `builder`.
        """
        metrics.came(name)
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
