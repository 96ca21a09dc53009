# SPDX-License-Identifier: MIT
"""Metrics of the hub: those of every service, the reference's one, and what the hub decides."""

from typing import Final

from aiohttp import web
from prometheus_client import Counter, Gauge, Histogram

from buildernet.net.metrics import HttpMetrics

_BUCKETS_MS: Final = (1, 5, 25, 100, 500, 2500, 10000)
_S_TO_MS: Final = 1000


class HubMetrics(HttpMetrics):
    """One registry for all listeners."""

    def __init__(self) -> None:
        super().__init__("builder_hub")
        self._milliseconds = Histogram(
            "http_server_request_duration_milliseconds",
            "Time to answer a request; the name that the reference gives it.",
            ["route"],
            buckets=_BUCKETS_MS,
            registry=self.registry,
        )
        self.refused = Counter(
            "builder_hub_instances_refused",
            "Requests of instances answered with 403.",
            registry=self.registry,
        )
        self.registrations = Counter(
            "builder_hub_registrations",
            "Credentials registered.",
            ["proved"],
            registry=self.registry,
        )
        self.evidence = Counter(
            "builder_hub_evidence",
            "Evidence posted by nodes.",
            ["result"],
            registry=self.registry,
        )
        self.logins_failed = Counter(
            "builder_hub_admin_logins_failed",
            "Requests to the admin listener with wrong credentials.",
            registry=self.registry,
        )
        self.peers_left_out = Counter(
            "builder_hub_peers_left_out",
            "Peers that did not fit into one answer.",
            registry=self.registry,
        )
        self.events_lost = Counter(
            "builder_hub_events_lost",
            "Events that could not be stored: what they tell of happened, and is in the log.",
            registry=self.registry,
        )
        self.database_up = Gauge(
            "builder_hub_database_up",
            "1 if the database answers, and took the last write.",
            registry=self.registry,
        )

    def observe(self, request: web.Request, *, status: int, seconds: float) -> None:
        """Count one answered request."""
        super().observe(request, status=status, seconds=seconds)
        resource = request.match_info.route.resource
        route = resource.canonical if resource is not None else "unmatched"
        self._milliseconds.labels(route).observe(seconds * _S_TO_MS)
