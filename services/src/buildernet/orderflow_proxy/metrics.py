# SPDX-License-Identifier: MIT
"""What the receiver counts. Label values are bounded: no client can invent one."""

from collections.abc import Callable
from enum import StrEnum
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from buildernet.orderflow_proxy.order import OrderPriority

METHODS: Final = frozenset(
    {
        "eth_sendBundle",
        "eth_sendRawTransaction",
        "eth_cancelBundle",
        "mev_sendBundle",
        "bid_subsidiseBlock",
    }
)

_MAX_SERIES: Final = 4096
"""Combinations kept at hand: eight outcomes of five methods from a hundred peers."""

_SECONDS: Final = (0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.02, 0.1, 1.0)
_LATENCY_SECONDS: Final = (0.001, 0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 2.0)
_BYTES: Final = (1e3, 3e3, 1e4, 4e4, 1e5, 1e6, 1e7)
_ORDERS: Final = (1, 2, 5, 10, 50, 200, 1000)


class Outcome(StrEnum):
    """How an order left the receiver; every order leaves by exactly one."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    STALE = "stale"
    INVALID = "invalid"
    RATE_LIMITED = "rate_limited"
    ARCHIVE_FULL = "archive_full"
    BUILDER_FULL = "builder_full"
    FAILED = "failed"
    """An error of ours; the log has it."""


class ReceiverMetrics:
    """The receiver's part of the registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._series: dict[tuple[str, str, str, str], tuple[Counter, ...]] = {}
        self._orders = Counter(
            "orderflow_proxy_orders",
            "Orders that came in, by what became of them.",
            ["source", "method", "outcome"],
            registry=registry,
        )
        self._by_peer = Counter(
            "orderflow_proxy_api_incoming_requests_by_peer",
            "Orders by who sent them.",
            ["peer"],
            registry=registry,
        )
        self._duplicates = Counter(
            "orderflow_proxy_api_duplicate_requests_by_peer",
            "Orders that were there already, by who sent them.",
            ["peer"],
            registry=registry,
        )
        self._refused = Counter(
            "orderflow_proxy_requests_refused",
            "Requests refused before any order was looked at.",
            ["side", "reason"],
            registry=registry,
        )
        priorities = Counter(
            "orderflow_proxy_orders_by_priority",
            "Accepted orders by class.",
            ["priority"],
            registry=registry,
        )
        self.priorities = {each: priorities.labels(each) for each in OrderPriority}
        self.seconds = Histogram(
            "orderflow_proxy_order_seconds",
            "From an order's turn until it was handed to its queues.",
            buckets=_SECONDS,
            registry=registry,
        )
        body_bytes = Histogram(
            "orderflow_proxy_request_bytes",
            "Size of request bodies.",
            ["side"],
            buckets=_BYTES,
            registry=registry,
        )
        self.body_bytes = {each: body_bytes.labels(each) for each in ("user", "system", "share")}
        self.share_orders = Histogram(
            "orderflow_proxy_share_orders",
            "Orders in one request to share.",
            buckets=_ORDERS,
            registry=registry,
        )
        self.share_repeated = Counter(
            "orderflow_proxy_share_repeated",
            "Requests to share that were taken before.",
            registry=registry,
        )
        self.peer_latency = Histogram(
            "orderflow_proxy_peer_latency_seconds",
            "From X-BuilderNet-SentAtUs of a peer until the request was read.",
            buckets=_LATENCY_SECONDS,
            registry=registry,
        )
        self.not_recorded = Counter(
            "orderflow_proxy_orders_not_recorded",
            "Accepted orders that the archive's spool did not take.",
            registry=registry,
        )

    def count(self, outcome: Outcome, *, source: str, method: str, peer: str) -> None:
        """Count one order."""
        known = method if method in METHODS else "unknown"
        series = self._series.get((outcome, source, known, peer))
        if series is None:
            series = self._add_series(outcome, source, known, peer)
        for each in series:
            each.inc()

    def _add_series(
        self, outcome: Outcome, source: str, method: str, peer: str
    ) -> tuple[Counter, ...]:
        """Look up the series of a combination; kept: looking up costs more than adding."""
        if len(self._series) >= _MAX_SERIES:
            # A hub could name new peers without end: what is counted by name begins at 0 again.
            self._series.clear()
            self._by_peer.clear()
            self._duplicates.clear()
        series = [self._orders.labels(source, method, outcome), self._by_peer.labels(peer)]
        if outcome is Outcome.DUPLICATE:
            series.append(self._duplicates.labels(peer))
        self._series[outcome, source, method, peer] = tuple(series)
        return tuple(series)

    def refuse(self, *, side: str, reason: str) -> None:
        """Count a request that was refused as a whole."""
        self._refused.labels(side, reason).inc()

    def watch(self, name: str, text: str, value: Callable[[], float]) -> None:
        """Show a size that is read when somebody asks."""
        Gauge(f"orderflow_proxy_{name}", text, registry=self._registry).set_function(value)
