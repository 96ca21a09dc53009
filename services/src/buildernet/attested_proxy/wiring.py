# SPDX-License-Identifier: MIT
"""Joins settings to what makes and verifies real evidence; opens what must be closed again."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import aiohttp

from buildernet.attestation.collateral import Collateral
from buildernet.attestation.policy import MeasurementPolicy, parse_measurement_policy
from buildernet.attestation.policy.documents import MAX_POLICY_BYTES
from buildernet.attestation.verify.sources import find_collateral, load_roots
from buildernet.attestation.verify.status import OUT_OF_DATE_TOO, UP_TO_DATE_ONLY
from buildernet.attested_proxy.certificate import (
    Identity,
    NodeCertificate,
    load_identity,
    make_identity,
)
from buildernet.attested_proxy.config import PeerPolicy, ServerConfig
from buildernet.attested_proxy.evidence import AttestationType
from buildernet.attested_proxy.issuing import read_certificates
from buildernet.attested_proxy.judge import Judge
from buildernet.attested_proxy.verification import AzureAnchors, EvidenceValidator, FindCollateral
from buildernet.base.bounded_file import read_file
from buildernet.base.errors import ConfigError
from buildernet.net.fetch import HttpFetcher
from buildernet.net.file_store import FileStore

_FETCH_TIMEOUT_S: Final = 25.0
"""Below the time a peer gets for its handshake."""

_log = logging.getLogger(__name__)


@asynccontextmanager
async def judging(peers: PeerPolicy) -> AsyncIterator[Judge]:
    """Give what decides about peers.

    Raises:
        BuildernetError: A file cannot be read, or a document cannot be fetched or parsed.
    """
    if not peers.demands_evidence:
        yield Judge(None, frozenset({AttestationType.NONE}))
        return
    async with aiohttp.ClientSession() as session:
        fetch = HttpFetcher(session)
        validator = EvidenceValidator(
            find_collateral=_find_collateral(peers, fetch),
            measurements=await _load_measurements(peers, fetch),
            roots=load_roots(peers.trust_root),
            azure=_load_azure_anchors(peers),
            policy=OUT_OF_DATE_TOO if peers.override_azure_outdated_tcb else UP_TO_DATE_ONLY,
        )
        yield Judge(validator, peers.accepted)


def open_certificate(config: ServerConfig) -> NodeCertificate:
    """Load the certificate an operator gives, or make one that is replaced before it expires.

    Raises:
        NodeCertificateError: It cannot be read, made or stored.
    """
    certificate, key = config.tls_certificate_path, config.tls_private_key_path
    if certificate is not None and key is not None:

        def read() -> Identity:
            return load_identity(certificate, key)

        return NodeCertificate(read(), reread=read)
    hosts = [host.strip() for host in config.certificate_hosts.split(",") if host.strip()]
    return NodeCertificate(
        make_identity(hosts, now=datetime.now(UTC)),
        renew=lambda: make_identity(hosts, now=datetime.now(UTC)),
        folder=config.certificate_dir,
    )


async def _load_measurements(peers: PeerPolicy, fetch: HttpFetcher) -> MeasurementPolicy | None:
    if peers.measurements is None:
        return None
    if "://" in peers.measurements:
        data, _ = await fetch(peers.measurements, limit=MAX_POLICY_BYTES)
    else:
        data = read_file(Path(peers.measurements), limit=MAX_POLICY_BYTES)
    return parse_measurement_policy(data)


def _load_azure_anchors(peers: PeerPolicy) -> AzureAnchors:
    roots = None
    if peers.azure_ak_roots is not None:
        roots = read_certificates(peers.azure_ak_roots)
        names = "; ".join(root.subject.rfc4514_string() for root in roots)
        _log.warning("azure_ak_roots replaced subjects=%s", names)
    if peers.dangerously_accept_azure_without_ak_certificate:
        _log.warning("azure_ak_certificate not demanded: any TDX machine passes for Azure's")
    issuers = peers.azure_ak_issuers
    return AzureAnchors(
        roots=roots,
        issuers=() if issuers is None else read_certificates(issuers),
        dangerously_accept_without_certificate=(
            peers.dangerously_accept_azure_without_ak_certificate
        ),
    )


def _find_collateral(peers: PeerPolicy, fetch: HttpFetcher) -> FindCollateral:
    """Let a validator's thread wait for what finds collateral, which lives in the loop."""
    find = find_collateral(
        bundle=peers.collateral,
        pccs_url=peers.pccs_url,
        fetch=fetch,
        store=None if peers.collateral_dir is None else FileStore(peers.collateral_dir),
    )
    loop = asyncio.get_running_loop()

    def wait(quote: bytes) -> Collateral:
        waiting = asyncio.run_coroutine_threadsafe(find(quote), loop)
        try:
            return waiting.result(_FETCH_TIMEOUT_S)
        except TimeoutError as exc:
            waiting.cancel()
            raise ConfigError(f"no collateral in {_FETCH_TIMEOUT_S:g} s") from exc

    return wait
