# SPDX-License-Identifier: MIT
"""The receiver's applications: users' side, system side, metrics. Wiring only.

What sends, records and knows the peers is passed in, so that tests bring their own.
"""

from dataclasses import dataclass, field
from typing import Final

from aiohttp import web

from buildernet.net.health import livez
from buildernet.net.limits import ServerLimits
from buildernet.net.metrics import HttpMetrics
from buildernet.net.metrics import metrics as show_metrics
from buildernet.net.server import bare_application
from buildernet.orderflow_proxy import handlers, share
from buildernet.orderflow_proxy.bodies import BodyBudget
from buildernet.orderflow_proxy.clock import ArrivalClock
from buildernet.orderflow_proxy.config import Limits, ReceiverConfig
from buildernet.orderflow_proxy.dedup import SeenKeys
from buildernet.orderflow_proxy.handlers import SIDE, Side
from buildernet.orderflow_proxy.intake import Intake, Memory
from buildernet.orderflow_proxy.metrics import ReceiverMetrics
from buildernet.orderflow_proxy.order import Delivery, Peers, Recorder
from buildernet.orderflow_proxy.orders.parser import OrderParser
from buildernet.orderflow_proxy.priority import Scores
from buildernet.orderflow_proxy.rate_limit import RateLimiter
from buildernet.orderflow_proxy.replacement import Slots
from buildernet.orderflow_proxy.rpc import FindSender, OrderRpc, as_system, as_user
from buildernet.orderflow_proxy.sharing import Sharing

SERVICE: Final = "orderflow_proxy"

_NO_LIMIT: Final = 1 << 40
"""The handlers bound bodies themselves, so that the refusal is in JSON-RPC's form."""


@dataclass(frozen=True, slots=True)
class Dependencies:
    """Where orders go and who may send them."""

    delivery: Delivery
    recorder: Recorder
    peers: Peers
    http: HttpMetrics = field(default_factory=lambda: HttpMetrics(SERVICE))
    """The registry that the dependencies' own metrics are in."""
    clock: ArrivalClock = field(default_factory=ArrivalClock)


@dataclass(frozen=True, slots=True)
class Deployment:
    """What is served."""

    user: web.Application
    system: web.Application
    metrics: web.Application


def build_app(config: ReceiverConfig, parts: Dependencies) -> Deployment:
    """Return the applications; nothing is opened before they are served."""
    metrics = ReceiverMetrics(parts.http.registry)
    memory = _memory(config.limits)
    _watch(memory, metrics)
    intake = Intake(
        parser=OrderParser(chain_id=config.builder.chain_id),
        delivery=parts.delivery,
        recorder=parts.recorder,
        memory=memory,
        metrics=metrics,
        clock=parts.clock,
        max_txs_per_bundle=config.limits.max_txs_per_bundle,
    )
    bodies = BodyBudget()
    sharing = Sharing(intake, peers=parts.peers, clock=parts.clock, metrics=metrics)

    def side(name: str, find_sender: FindSender, sharing: Sharing | None) -> web.Application:
        return _application(
            Side(
                name=name,
                rpc=OrderRpc(intake, find_sender=find_sender),
                sharing=sharing,
                bodies=bodies,
                max_body_bytes=config.limits.max_body_bytes,
                accept_gzip=config.limits.accept_gzip,
                trust_forwarded_for=config.listen.trust_forwarded_for,
                metrics=metrics,
                clock=parts.clock,
                delivery=parts.delivery,
                recorder=parts.recorder,
            ),
            config.limits,
            parts.http,
        )

    shown = bare_application(limits=ServerLimits(), metrics=parts.http)
    shown.router.add_get("/livez", livez)
    shown.router.add_get("/metrics", show_metrics)
    return Deployment(
        user=side("user", as_user, None),
        system=side("system", as_system(parts.peers), sharing),
        metrics=shown,
    )


def _application(side: Side, limits: Limits, http: HttpMetrics) -> web.Application:
    connections = (
        limits.max_user_connections if side.name == "user" else limits.max_system_connections
    )
    bounds = ServerLimits(
        max_body_bytes=_NO_LIMIT,
        max_connections=connections,
        idle_timeout_s=limits.idle_timeout_s,
        request_timeout_s=min(limits.request_timeout_s, share.TIMEOUT_S),
    )
    app = bare_application(limits=bounds, metrics=http)
    app[SIDE] = side
    app.router.add_post("/", handlers.post_rpc)
    if side.sharing is not None:
        app.router.add_post(share.PATH, handlers.post_share)
    app.router.add_get("/livez", livez)
    app.router.add_get("/health", livez)
    app.router.add_get("/readyz", handlers.readyz)
    return app


def _memory(limits: Limits) -> Memory:
    return Memory(
        seen=SeenKeys(capacity=limits.duplicate_capacity, ttl_s=limits.duplicate_ttl_s),
        slots=Slots(),
        scores=Scores(),
        orders_left=RateLimiter(limits.orders_per_second),
        cancellations_left=RateLimiter(limits.orders_per_second),
    )


def _watch(memory: Memory, metrics: ReceiverMetrics) -> None:
    metrics.watch("remembered_orders", "Orders known as taken.", lambda: len(memory.seen))
    metrics.watch(
        "forgotten_early",
        "Orders forgotten before their time because there were too many.",
        lambda: memory.seen.pushed_out,
    )
    metrics.watch("replacement_slots", "Replacement slots known.", lambda: len(memory.slots))
    metrics.watch("known_signers", "Signers with a score.", lambda: len(memory.scores))
