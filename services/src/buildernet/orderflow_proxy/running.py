# SPDX-License-Identifier: MIT
"""Runs the receiver from its settings until it is told to stop."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Final

from buildernet.base.bounded_file import replace_file
from buildernet.ethereum.address import Address
from buildernet.ethereum.signature import SigningKey
from buildernet.net.address import ListenAddress
from buildernet.net.certificate_reload import reloading
from buildernet.net.metrics import HttpMetrics
from buildernet.net.server import Site, serve_sites
from buildernet.orderflow_proxy.app import SERVICE, Dependencies, build_app
from buildernet.orderflow_proxy.archiving import archiving
from buildernet.orderflow_proxy.config import ReceiverConfig
from buildernet.orderflow_proxy.delivery import DeliverySettings, delivering
from buildernet.orderflow_proxy.hub import PeerListKind
from buildernet.orderflow_proxy.peer_evidence import verifying
from buildernet.orderflow_proxy.peers import VerifyPeer, believe_hub

_FIRST_LIST_S: Final = 10.0
"""So long users wait for it: a hub that does not answer must not keep a node from its builder."""

_REQUESTS_S: Final = 3.5
"""What running requests get at the end: delivery and archive get 3 s each after them, and all of it
is promised to take less than 10 s."""

_READABLE: Final = 0o644
"""An address is no secret; the service that registers it runs as another user."""

_log = logging.getLogger(__name__)


async def run_receiver(config: ReceiverConfig) -> None:
    """Serve users and peers.

    Raises:
        BuildernetError: A setting, a file or a listen address does not allow it.
    """
    key_file = config.peering.signing_key_file
    key = SigningKey.generate() if key_file is None else SigningKey.load(key_file)
    if config.peering.address_file is not None:
        _write_address(config.peering.address_file, key.address)
    http = HttpMetrics(SERVICE)
    listen = config.listen
    async with (
        reloading(listen.certificate_file, listen.private_key_file) as tls,
        _verifying(config) as verify,
        delivering(
            _delivery_settings(config), key=key, registry=http.registry, verify=verify
        ) as running,
        archiving(
            config.archive,
            key=key,
            head=running.head.number,
            registry=http.registry,
        ) as recorder,
    ):
        _log.info("signer_ready address=%s", key.address)
        deployment = build_app(
            config, Dependencies(running.delivery, recorder, running.peers, http=http)
        )
        sites = [
            Site(deployment.system, ListenAddress.parse(listen.system_addr), tls=tls),
            Site(
                deployment.user,
                ListenAddress.parse(listen.user_addr),
                tls=tls,
                opens=partial(_first_list, running.looked),
            ),
        ]
        if listen.metrics_addr:
            sites.insert(0, Site(deployment.metrics, ListenAddress.parse(listen.metrics_addr)))
        await serve_sites(sites, stop_timeout_s=_REQUESTS_S)


async def _first_list(looked: asyncio.Event) -> None:
    """Wait for the first list of peers: an order that comes before it would reach none."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_FIRST_LIST_S):
            await looked.wait()


def _write_address(path: Path, address: Address) -> None:
    """Replace the file whole: who watches it never sees half an address."""
    replace_file(path, f"{address.hex()}\n".encode(), mode=_READABLE)


@asynccontextmanager
async def _verifying(config: ReceiverConfig) -> AsyncIterator[VerifyPeer]:
    if not config.peering.hub_endpoint:
        yield believe_hub  # what stands in a file of peers is the operator's own word
        return
    async with verifying(config.evidence) as verify:
        yield verify


def _delivery_settings(config: ReceiverConfig) -> DeliverySettings:
    builder, peering, listen = config.builder, config.peering, config.listen
    return DeliverySettings(
        builder_endpoint=builder.endpoint,
        builder_ready_endpoint=builder.ready_endpoint,
        rpc_endpoint=builder.rpc_endpoint,
        hub_endpoint=peering.hub_endpoint,
        static_peers=peering.peers_file,
        listed=PeerListKind.INSTANCE
        if config.evidence.dangerously_trust_hub
        else PeerListKind.EVIDENCE,
        update_interval_s=peering.update_interval_s,
        node_name=peering.node_name,
        forward=peering.forward,
        connections_per_peer=peering.connections_per_peer,
        flashbots_signer=Address.parse(peering.flashbots_address),
        certificate_file=peering.registered_certificate_file or listen.certificate_file,
        certificate_key_file=listen.private_key_file,
    )
