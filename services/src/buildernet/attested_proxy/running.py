# SPDX-License-Identifier: MIT
"""Runs a proxy from its settings until it is told to stop."""

import logging
from dataclasses import replace

from buildernet.attested_proxy.app import Deployment, build_client, build_server
from buildernet.attested_proxy.certificate import load_identity
from buildernet.attested_proxy.config import ClientConfig, ServerConfig
from buildernet.attested_proxy.evidence import AttestationType
from buildernet.attested_proxy.issuing import issuing
from buildernet.attested_proxy.wiring import judging, open_certificate
from buildernet.net.address import ListenAddress
from buildernet.net.server import serve

_log = logging.getLogger(__name__)


async def run_server(config: ServerConfig) -> None:
    """Serve attested TLS.

    Raises:
        BuildernetError: A setting, a file, the TEE or the listen address does not allow it.
    """
    certificate = open_certificate(config)
    async with (
        issuing(config.server_attestation_type, config.tsm_dir, config.azure) as issuer,
        judging(config.peers) as judge,
    ):
        if not judge.demands_evidence:
            _log.info("clients_unattested: anyone may connect")
        deployment = build_server(config, judge=judge, issuer=issuer, certificate=certificate)
        await _serve(deployment, config.listen_addr, config.listen_addr_healthcheck)


async def run_client(config: ClientConfig) -> None:
    """Serve plain HTTP that goes to an attested server.

    Raises:
        BuildernetError: A setting, a file, the TEE or the listen address does not allow it.
    """
    peers = config.peers
    if config.verify_tls:
        peers = replace(peers, allowed_remote_attestation_type=AttestationType.NONE.value)
    peers.require_decision()
    identity = None
    if config.tls_certificate_path is not None and config.tls_private_key_path is not None:
        identity = load_identity(config.tls_certificate_path, config.tls_private_key_path)
    async with (
        issuing(config.client_attestation_type, config.tsm_dir, config.azure) as issuer,
        judging(peers) as judge,
    ):
        if config.dangerously_accept_unauthenticated_server and not judge.demands_evidence:
            _log.warning("server_unauthenticated: whoever answers is believed")
        deployment = build_client(config, judge=judge, issuer=issuer, identity=identity)
        await _serve(deployment, config.listen_addr, config.listen_addr_healthcheck)


async def _serve(deployment: Deployment, address: str, health_address: str) -> None:
    also = []
    if health_address:
        also.append((deployment.health, ListenAddress.parse(health_address)))
    await serve(deployment.app, ListenAddress.parse(address), front=deployment.front, also=also)
