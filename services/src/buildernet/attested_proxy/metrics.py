# SPDX-License-Identifier: MIT
"""Counters of attested connections; HTTP's own are in `net.metrics`."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_BUCKETS_S: Final = (0.005, 0.025, 0.1, 0.5, 2.5, 10.0, 30.0)


class HandshakeMetrics:
    """Handshakes of one listener or one dialler. Labels are bounded: a peer cannot invent them."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.verified = Counter(
            "attested_proxy_peers_accepted",
            "Handshakes that ended with an accepted peer, by type of its evidence.",
            ["attestation_type"],
            registry=registry,
        )
        self.refused = Counter(
            "attested_proxy_peers_refused",
            "Handshakes that failed, by reason.",
            ["reason"],
            registry=registry,
        )
        self.seconds = Histogram(
            "attested_proxy_handshake_duration_seconds",
            "Time from TCP connection to judged peer.",
            buckets=_BUCKETS_S,
            registry=registry,
        )
        self.open_handshakes = Gauge(
            "attested_proxy_handshakes_open",
            "Connections not yet through their handshake.",
            registry=registry,
        )
