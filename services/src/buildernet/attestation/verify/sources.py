# SPDX-License-Identifier: MIT
"""Where a service that verifies gets roots and collateral, by its settings: files, or a fetcher.

The one module of this package that reads files. Nothing here is believed but the roots: collateral
is verified with what it is for.
"""

import logging
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from buildernet.attestation.collateral import Collateral, parse_collateral
from buildernet.attestation.collateral.cache import CollateralCache, Store
from buildernet.attestation.collateral.pcs import INTEL_PCS, Fetcher, pccs
from buildernet.attestation.errors import CollateralError
from buildernet.attestation.quote import parse_quote
from buildernet.attestation.verify.anchors import INTEL, TrustAnchors
from buildernet.attestation.verify.kind import platform_kind, select_collateral
from buildernet.base.bounded_file import read_file
from buildernet.base.errors import BuildernetError, ConfigError

MAX_BUNDLE_BYTES: Final = 16 << 20
"""Collateral for every known kind of platform has a few MiB."""

MAX_ROOT_BYTES: Final = 64 * 1024
"""A root certificate has less than 1 KiB; a file of several has a few."""

# Any: what a coroutine yields and is sent, which nobody looks at.
FindCollateral = Callable[[bytes], Coroutine[Any, Any, Collateral]]
"""Gives the collateral for a TDX quote; raises BuildernetError when there is none."""

_log = logging.getLogger(__name__)


def find_collateral(
    *, bundle: Path | None, pccs_url: str | None, fetch: Fetcher, store: Store | None
) -> FindCollateral:
    """Return what finds collateral for a quote.

    Args:
        bundle: File with collateral in any known form; nothing is fetched then.
        pccs_url: Where it is fetched; None is Intel's own service.
        fetch: How it is fetched.
        store: Where it is kept over a restart; None keeps it in memory only.

    Raises:
        ConfigError: The file cannot be read, or holds no collateral.
    """
    if bundle is not None:
        try:
            known = parse_collateral(read_file(bundle, limit=MAX_BUNDLE_BYTES))
        except CollateralError as exc:
            raise ConfigError(f"{bundle}: {exc}", hint=exc.hint) from exc

        async def select(quote: bytes) -> Collateral:
            return select_collateral(parse_quote(quote), known)

        return select
    cache = CollateralCache(
        service=INTEL_PCS if pccs_url is None else pccs(pccs_url),
        fetch=fetch,
        store=store,
        clock=time.time,
    )

    async def get(quote: bytes) -> Collateral:
        return await cache.get(platform_kind(parse_quote(quote)))

    return get


def read_roots(path: Path | None, *, error: type[BuildernetError] = ConfigError) -> TrustAnchors:
    """Return Intel's root, or the roots of a file instead.

    Args:
        path: DER of one certificate, or PEM of some; None is Intel's.
        error: What is raised: a setting is wrong, or an argument is.

    Raises:
        BuildernetError: `error`: it cannot be read, or holds something else than roots.
        PolicyError: There are too many.
    """
    if path is None:
        return INTEL
    data = read_file(path, limit=MAX_ROOT_BYTES, error=error)
    try:
        if data.lstrip().startswith(b"-----BEGIN"):
            certificates = x509.load_pem_x509_certificates(data)
        else:
            certificates = [x509.load_der_x509_certificate(data)]
    except ValueError as exc:
        raise error(f"{path} is not a certificate in DER or PEM") from exc
    for one in certificates:
        if one.subject != one.issuer:
            raise error(f"{path} holds {one.subject.rfc4514_string()}, which is no root")
    return TrustAnchors(tuple(one.public_bytes(Encoding.DER) for one in certificates))


def load_roots(path: Path | None) -> TrustAnchors:
    """Read a service's roots; that they are not Intel's is said in the log.

    Raises:
        ConfigError: As `read_roots`.
    """
    roots = read_roots(path)
    if path is not None:
        _log.warning("trust_root replaced file=%s", path)
    return roots
