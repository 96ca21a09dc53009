# SPDX-License-Identifier: MIT
"""`orderflow-proxy sender`: plain HTTP in, signed orders out to every node. Outside the TEE.

It belongs to whoever feeds the network (Flashbots): nodes know its address. It checks no signature:
only its own network may reach it.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from aiohttp import web
from prometheus_client import Counter

from buildernet.ethereum.signature import SigningKey
from buildernet.net import jsonrpc
from buildernet.net.address import ListenAddress
from buildernet.net.health import livez
from buildernet.net.jsonrpc import JsonRpcError, RequestId, encode_error, encode_result
from buildernet.net.limits import ServerLimits
from buildernet.net.metrics import HttpMetrics
from buildernet.net.metrics import metrics as show_metrics
from buildernet.net.server import Site, bare_application, serve_sites
from buildernet.orderflow_proxy.delivery import DeliverySettings, Running, delivering
from buildernet.orderflow_proxy.errors import BusyError
from buildernet.orderflow_proxy.hub import PeerListKind
from buildernet.orderflow_proxy.order import OrderPriority
from buildernet.orderflow_proxy.rpc import Reply, read_priority
from buildernet.orderflow_proxy.sender_config import SenderConfig
from buildernet.orderflow_proxy.sent_order import parse_sent

SERVICE: Final = "orderflow_proxy"

_MAX_CONNECTIONS: Final = 4096
"""Few clients, each with a pool of its own."""

_IDLE_S: Final = 3600.0
"""As the Go sender: its clients keep their connections."""

_REQUEST_S: Final = 60.0

_log = logging.getLogger(__name__)


class NoNodesError(BusyError):
    """No node is known that an order could be sent to; it may be sent again."""


@dataclass(frozen=True, slots=True)
class SenderApps:
    """What is served."""

    orders: web.Application
    metrics: web.Application


def build_sender(config: SenderConfig, running: Running, *, http: HttpMetrics) -> SenderApps:
    """Return the applications.

    Args:
        config: Settings.
        running: Delivers.
        http: Metrics, in the registry that the delivery's are in.
    """
    refused = Counter(
        f"{SERVICE}_sender_orders_refused",
        "Orders refused because no node is known.",
        registry=http.registry,
    )

    async def post(request: web.Request) -> web.Response:
        priority = read_priority(request.headers) or OrderPriority.MEDIUM
        reply = answer_orders(
            await request.read(), running, priority=priority, on_refused=refused.inc
        )
        headers = {} if reply.error is None else {"Retry-After": "1"}
        return web.Response(
            status=reply.status, body=reply.body, content_type="application/json", headers=headers
        )

    async def ready(_request: web.Request) -> web.Response:
        if running.peers.links:
            return web.json_response({"status": "ok"})
        return web.json_response({"status": "unavailable", "reason": "no peers"}, status=503)

    async def update(_request: web.Request) -> web.Response:
        running.refresh()
        return web.json_response({"status": "ok"})

    limits = ServerLimits(
        max_body_bytes=config.max_body_bytes,
        max_connections=_MAX_CONNECTIONS,
        idle_timeout_s=_IDLE_S,
        request_timeout_s=_REQUEST_S,
    )
    orders = bare_application(limits=limits, metrics=http)
    orders.router.add_post("/", post)
    shown = bare_application(limits=ServerLimits(), metrics=http)
    for app in (orders, shown):
        app.router.add_get("/livez", livez)
        app.router.add_get("/readyz", ready)
    shown.router.add_get("/metrics", show_metrics)
    shown.router.add_route("*", "/update_peers", update)
    return SenderApps(orders, shown)


def answer_orders(
    body: bytes,
    running: Running,
    *,
    priority: OrderPriority,
    on_refused: Callable[[], None],
) -> Reply:
    """Queue the orders of one body and return the answer: null for each that is queued.

    Args:
        body: A JSON-RPC request or a batch of them.
        running: Delivers.
        priority: The class of all of them.
        on_refused: Called for each order that nobody would get.
    """
    try:
        requests = jsonrpc.parse_requests(body)
    except JsonRpcError as exc:
        return Reply(200, encode_error(exc.request_id, exc))
    no_nodes = None if running.peers.links else NoNodesError("no node is known, try again")

    def answer(request: jsonrpc.Request) -> bytes:
        number: RequestId = request.id
        try:
            order = parse_sent(
                request.method,
                jsonrpc.single_param(request),
                priority=priority,
                received_at_us=time.time_ns() // 1000,
            )
            if no_nodes is not None:
                on_refused()
                raise no_nodes
            running.delivery.submit(order)
        except JsonRpcError as exc:
            return encode_error(number, exc)
        return encode_result(number, None)

    if isinstance(requests, jsonrpc.Request):
        answers = answer(requests)
    else:
        answers = jsonrpc.encode_batch([answer(request) for request in requests])
    return Reply(200 if no_nodes is None else no_nodes.status, answers, no_nodes)


async def run_sender(config: SenderConfig, key: SigningKey) -> None:
    """Serve until told to stop.

    Args:
        config: Settings.
        key: Signs everything that is sent.

    Raises:
        BuildernetError: A setting, a file or a listen address does not allow it.
    """
    http = HttpMetrics(SERVICE)
    settings = DeliverySettings(
        hub_endpoint=config.hub_endpoint,
        static_peers=config.peers_file,
        listed=PeerListKind.INTERNAL,
        update_interval_s=config.update_interval_s,
        connections_per_peer=config.connections_per_peer,
    )
    async with delivering(settings, key=key, registry=http.registry) as running:
        _log.info("signer_ready address=%s", key.address)
        apps = build_sender(config, running, http=http)
        await serve_sites(
            [
                Site(apps.metrics, ListenAddress.parse(config.metrics_addr)),
                Site(apps.orders, ListenAddress.parse(config.listen_addr)),
            ]
        )
