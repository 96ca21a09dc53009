# SPDX-License-Identifier: MIT
"""The two applications: what stands behind the attested listener, what in front of the dialler.

What judges and issues evidence is passed in, so that tests bring their own.
"""

import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from aiohttp import web

from buildernet.attested_proxy.accept import Acceptor
from buildernet.attested_proxy.certificate import Identity, NodeCertificate
from buildernet.attested_proxy.config import ClientConfig, Limits, ServerConfig
from buildernet.attested_proxy.dial import Dialler, WireProtocol
from buildernet.attested_proxy.evidence import Issuer, Workers
from buildernet.attested_proxy.forward import Forwarder
from buildernet.attested_proxy.judge import Judge
from buildernet.attested_proxy.listener import AttestedListener
from buildernet.attested_proxy.metrics import HandshakeMetrics
from buildernet.attested_proxy.server_certificate import CertificateDemand
from buildernet.attested_proxy.target import Target
from buildernet.attested_proxy.upstream import AttestedUpstream, PlainUpstream, Upstream
from buildernet.base.background import keeping
from buildernet.base.errors import ConfigError
from buildernet.net.authority import trusting
from buildernet.net.limits import ServerLimits
from buildernet.net.metrics import METRICS
from buildernet.net.proxy_secret import read_proxy_secret
from buildernet.net.server import Front, bare_application, new_application

if TYPE_CHECKING:
    from aiohttp.typedefs import Handler

SERVICE: Final = "attested_proxy"
_CERTIFICATE_PATH: Final = "/cert"
_GRACE_S: Final = 1.0
"""The server's own deadline comes after that of the forwarder, which knows who was too slow."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """An application, what stands before it, and the application for health and metrics."""

    app: web.Application
    health: web.Application
    front: Front | None


def build_server(
    config: ServerConfig, *, judge: Judge, issuer: Issuer | None, certificate: NodeCertificate
) -> Deployment:
    """Return the server; nothing is opened before it is served.

    Raises:
        ConfigError: The secret for the target cannot be used.
    """
    app, health = _applications(config.limits)
    workers = Workers("evidence")
    listener = AttestedListener(
        Acceptor(
            identity=lambda: certificate.identity, issuer=issuer, judge=judge, workers=workers
        ),
        limits=config.limits,
        metrics=HandshakeMetrics(app[METRICS].registry),
    )

    async def handshakes(_app: web.Application) -> AsyncIterator[None]:
        try:
            async with keeping([certificate.rotate()]):
                yield
        finally:
            await listener.close()
            workers.close()

    app.cleanup_ctx.append(handshakes)
    if config.serve_certificate:

        async def get_certificate(_request: web.Request) -> web.Response:
            return web.Response(
                body=certificate.identity.pem, content_type="application/x-pem-file"
            )

        app.router.add_get(_CERTIFICATE_PATH, get_certificate)
    if config.target_addr:
        target = Target.parse(config.target_addr, default_scheme="http")
        limits = config.limits
        path = config.target_secret_file
        secret = "" if path is None else read_proxy_secret(path)

        def plain() -> Upstream:
            tls = ssl.create_default_context() if target.url.scheme == "https" else None
            return PlainUpstream(
                target, limit=limits.max_connections, idle_s=limits.idle_timeout_s, tls=tls
            )

        _forward(app, target, plain, limits, peer_sends_requests=True, secret=secret)
    return Deployment(app, health, listener.front)


def build_client(
    config: ClientConfig, *, judge: Judge, issuer: Issuer | None, identity: Identity | None = None
) -> Deployment:
    """Return the client; nothing is opened before it is served."""
    app, health = _applications(config.limits)
    target = Target.parse(config.target_addr, default_scheme="https")
    limits = config.limits
    if config.verify_tls:
        if target.url.scheme != "https":
            raise ConfigError("verify_tls needs an https target")

        def ordinary() -> Upstream:
            return PlainUpstream(
                target,
                limit=config.max_server_connections,
                idle_s=limits.idle_timeout_s,
                tls=trusting(config.tls_ca_certificate),
            )

        _forward(app, target, ordinary, limits, peer_sends_requests=False)
        return Deployment(app, health, None)
    demand = _certificate_demand(config, target, judge)
    workers = Workers("evidence")
    metrics = HandshakeMetrics(app[METRICS].registry)
    dialler = Dialler(
        target.host,
        target.port,
        judge=judge,
        issuer=issuer,
        workers=workers,
        protocol=WireProtocol(config.protocol),
        identity=identity,
        demand=demand,
        source_address=config.source_address,
        timeout_s=limits.handshake_timeout_s,
    )

    def attested() -> Upstream:
        return AttestedUpstream(
            dialler,
            metrics=metrics,
            authority=target.authority,
            limit=config.max_server_connections,
            idle_s=limits.idle_timeout_s,
        )

    async def close_workers(_app: web.Application) -> None:
        workers.close()

    app.on_cleanup.append(close_workers)
    _forward(app, target, attested, limits, peer_sends_requests=False)
    return Deployment(app, health, None)


def _applications(limits: Limits) -> tuple[web.Application, web.Application]:
    """Return the proxy's application and the one that shows its health and metrics."""
    bounds = ServerLimits(
        max_body_bytes=limits.max_body_bytes,
        max_connections=limits.max_connections,
        idle_timeout_s=limits.idle_timeout_s,
        request_timeout_s=limits.request_timeout_s + _GRACE_S,
    )
    health = new_application(SERVICE, limits=ServerLimits())
    app = bare_application(limits=bounds, metrics=health[METRICS])
    return app, health


def _forward(
    app: web.Application,
    target: Target,
    open_upstream: Callable[[], Upstream],
    limits: Limits,
    *,
    peer_sends_requests: bool,
    secret: str = "",
) -> None:
    """Let an application forward whatever it has no other handler for."""
    handlers: list[Handler] = []

    async def forwarding(_app: web.Application) -> AsyncIterator[None]:
        upstream = open_upstream()
        forwarder = Forwarder(
            upstream,
            host=target.authority,
            base=target.url.raw_path.rstrip("/"),
            max_body_bytes=limits.max_body_bytes,
            timeout_s=limits.request_timeout_s,
            peer_sends_requests=peer_sends_requests,
            secret=secret,
        )
        handlers.append(forwarder.handle)
        yield
        await upstream.close()

    async def handle(request: web.Request) -> web.StreamResponse:
        return await handlers[0](request)

    app.cleanup_ctx.append(forwarding)
    app.router.add_route("*", "/{path:.*}", handle)


def _certificate_demand(
    config: ClientConfig, target: Target, judge: Judge
) -> CertificateDemand | None:
    """Return what the server's certificate must be; None when its evidence alone decides.

    Raises:
        ConfigError: A file cannot be used, or the protocol cannot show a certificate.
    """
    is_settled = judge.demands_evidence or config.dangerously_accept_unauthenticated_server
    if is_settled and not config.names_certificate:
        return None
    if config.protocol == WireProtocol.A:
        raise ConfigError(
            "a server without evidence cannot show in protocol A who it is",
            hint="protocol b, or measurements",
        )
    return CertificateDemand(
        target.url.raw_host or "", authorities=config.tls_ca_certificate, pinned=config.pinned
    )
