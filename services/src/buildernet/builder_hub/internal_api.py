# SPDX-License-Identifier: MIT
"""The internal API: lists without authentication, for the operator's own machines.

The reference serves these two lists on the instance listener too, where every instance, and whoever
reaches the proxy, could read any network's. Here they are on this listener alone, unless the
operator demands otherwise.
"""

from aiohttp import web

from buildernet.builder_hub.answers import json_answer, measurements, network_builders
from buildernet.builder_hub.health import add_health
from buildernet.builder_hub.instance_api import PREFIX
from buildernet.builder_hub.names import PRODUCTION, parse_name


def add_internal_routes(app: web.Application) -> None:
    """Add every route of the internal listener."""
    add_health(app)
    app.router.add_get(f"{PREFIX}/measurements", measurements)
    add_internal_lists(app)


def add_internal_lists(app: web.Application) -> None:
    """Add the two lists that are not for instances."""
    app.router.add_get("/api/internal/l1-builder/v1/builders", production_builders)
    app.router.add_get(
        "/api/internal/l1-builder/v2/network/{network}/builders", builders_of_network
    )


async def production_builders(request: web.Request) -> web.Response:
    """Answer with the active builders of the network `production`."""
    return json_answer(await network_builders(request, PRODUCTION))


async def builders_of_network(request: web.Request) -> web.Response:
    """Answer with the active builders of a network."""
    network = parse_name(request.match_info["network"], "network")
    return json_answer(await network_builders(request, network))
