# SPDX-License-Identifier: MIT
"""The four applications of the hub, one a listener. Nothing is opened before they are served."""

from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import Final

from aiohttp import web

from buildernet.builder_hub.admin_api import add_admin_routes
from buildernet.builder_hub.admin_guard import guard
from buildernet.builder_hub.admin_lists import add_admin_lists
from buildernet.builder_hub.basic_auth import BasicAuth, require_hash
from buildernet.builder_hub.config import AdminConfig
from buildernet.builder_hub.health import add_health, metrics_now
from buildernet.builder_hub.hub import HUB, Hub
from buildernet.builder_hub.instance_api import add_instance_routes
from buildernet.builder_hub.internal_api import add_internal_lists, add_internal_routes
from buildernet.builder_hub.limits import MAX_REQUEST_BYTES
from buildernet.builder_hub.pages import add_pages
from buildernet.builder_hub.proxy_guard import require_secret
from buildernet.net.limits import ServerLimits
from buildernet.net.proxy_secret import read_proxy_secret
from buildernet.net.server import bare_application

_IDLE_TIMEOUT_S: Final = 60.0
_REQUEST_TIMEOUT_S: Final = 30.0
"""As the reference: 60 s to read, 30 s to answer."""

_MAX_CONNECTIONS: Final = 1024
"""Some tens of nodes ask twice a minute."""


@dataclass(frozen=True, slots=True)
class Applications:
    """One for each listener."""

    instance: web.Application
    internal: web.Application
    admin: web.Application
    metrics: web.Application


def build_apps(hub: Hub, *, clock: Callable[[], float] = monotonic) -> Applications:
    """Return the applications.

    Args:
        hub: What they work with.
        clock: Monotonic seconds, for the failures of logins.

    Raises:
        ConfigError: The admin's password is not a bcrypt hash, or the proxy's secret unusable.
    """
    limits = ServerLimits(
        max_body_bytes=MAX_REQUEST_BYTES,
        max_connections=_MAX_CONNECTIONS,
        idle_timeout_s=_IDLE_TIMEOUT_S,
        request_timeout_s=_REQUEST_TIMEOUT_S + hub.config.drain_seconds,
    )
    instance, internal, admin, measured = (
        _application(hub, limits) for _ in ("instance", "internal", "admin", "metrics")
    )
    add_instance_routes(instance)
    if hub.config.attestation.proxy_secret_file is not None:
        secret = read_proxy_secret(hub.config.attestation.proxy_secret_file)
        instance.middlewares.append(require_secret(secret))
    if hub.config.attestation.dangerously_lenient_as_reference:
        add_internal_lists(instance)
    add_internal_routes(internal)
    admin.middlewares.append(guard(_auth(hub.config.admin, clock)))
    add_health(admin)
    add_admin_routes(admin)
    add_admin_lists(admin)
    add_pages(admin)
    add_health(measured)
    measured.router.add_get("/metrics", metrics_now)
    return Applications(instance, internal, admin, measured)


def _application(hub: Hub, limits: ServerLimits) -> web.Application:
    app = bare_application(limits=limits, metrics=hub.metrics)
    app[HUB] = hub
    return app


def _auth(config: AdminConfig, clock: Callable[[], float]) -> BasicAuth | None:
    if config.dangerously_disable_auth:
        return None
    return BasicAuth(config.basic_user, require_hash(config.basic_password_bcrypt), clock)
