# SPDX-License-Identifier: MIT
"""Prometheus metrics that every HTTP service has, in a registry of its own."""

from typing import Final

from aiohttp import web
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

_BUCKETS_S: Final = (0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10.0)
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"})


# Else every counter gets a second series that nobody reads. The library leaves it untyped.
disable_created_metrics()  # type: ignore[no-untyped-call]


class HttpMetrics:
    """Counters of one server. Label values are bounded: a client cannot invent new ones."""

    def __init__(self, service: str) -> None:
        """Create the registry.

        Args:
            service: Name in front of every metric, such as `system_api`.
        """
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._requests = Counter(
            f"{service}_http_requests",
            "HTTP requests answered.",
            ["method", "route", "status"],
            registry=self.registry,
        )
        self._duration = Histogram(
            f"{service}_http_request_duration_seconds",
            "Time from request headers read to response handed over.",
            ["route"],
            buckets=_BUCKETS_S,
            registry=self.registry,
        )
        # Looking a series up by its labels costs more than counting.
        self._series: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        self.connections_refused = Counter(
            f"{service}_http_connections_refused",
            "Connections closed at once because too many were open.",
            registry=self.registry,
        )
        self.connections_expired = Counter(
            f"{service}_http_connections_expired",
            "Connections cut because their peer sent or read too slowly.",
            registry=self.registry,
        )

    def observe(self, request: web.Request, *, status: int, seconds: float) -> None:
        """Count one answered request."""
        resource = request.match_info.route.resource
        route = resource.canonical if resource is not None else "unmatched"
        method = request.method if request.method in _METHODS else "other"
        key = method, route, status
        series = self._series.get(key)
        if series is None:
            requests = self._requests.labels(method, route, str(status))
            series = self._series[key] = requests, self._duration.labels(route)
        series[0].inc()
        series[1].observe(seconds)


METRICS: Final = web.AppKey("metrics", HttpMetrics)


async def metrics(request: web.Request) -> web.Response:
    """Answer with every metric in the Prometheus text format."""
    body = generate_latest(request.app[METRICS].registry)
    return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})
