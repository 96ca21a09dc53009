# SPDX-License-Identifier: MIT
"""Collateral kept ready: fetched off the request path, stored as raw bytes, refused when stale.

Nothing here is believed: `verify` checks signatures of what comes from memory, disk or network
alike.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Final, Protocol

from cryptography import x509

from buildernet.attestation.collateral.collateral import Collateral
from buildernet.attestation.collateral.documents import encode_bundle, parse_collateral
from buildernet.attestation.collateral.kind import PCKAuthority, PlatformKind
from buildernet.attestation.collateral.pcs import CollateralService, Fetcher, fetch_collateral
from buildernet.attestation.collateral.tcb_info import parse_qe_identity, parse_tcb_info
from buildernet.attestation.errors import CollateralError, StaleCollateralError
from buildernet.base.errors import BuildernetError

RENEW_BEFORE: Final = 15 * 86_400
"""Seconds of validity left below which a renewal is tried: half of Intel's 30 days."""

MAX_KINDS: Final = 64
"""Kinds of platform kept; a peer names its own kind and must not fill the memory."""

_log = logging.getLogger(__name__)


class Store(Protocol):
    """Keeps bytes under a name; writes are atomic."""

    def read(self, name: str) -> bytes | None:
        """Return what was written, or None."""
        ...

    def write(self, name: str, data: bytes) -> None:
        """Keep bytes, replacing what was there."""
        ...


def next_update(collateral: Collateral) -> int:
    """Return the Unix time at which the first part of it becomes stale.

    Raises:
        CollateralError: a part cannot be read.
    """
    times = [
        parse_tcb_info(collateral.tcb_info).next_update,
        parse_qe_identity(collateral.qe_identity).next_update,
    ]
    for der in (collateral.root_ca_crl, collateral.pck_crl):
        try:
            moment = x509.load_der_x509_crl(der).next_update_utc
        except ValueError as exc:
            raise CollateralError(f"revocation list cannot be read: {exc}") from exc
        if moment is None:
            raise CollateralError("revocation list has no next update")
        times.append(int(moment.timestamp()))
    return min(times)


def kind_of(collateral: Collateral) -> PlatformKind:
    """Return the kind of platform that collateral says it is about.

    Raises:
        CollateralError: a part cannot be read.
    """
    try:
        issuer = x509.load_der_x509_crl(collateral.pck_crl).issuer.rfc4514_string().lower()
    except ValueError as exc:
        raise CollateralError(f"PCK CRL cannot be read: {exc}") from exc
    for authority in PCKAuthority:
        if f"pck {authority} ca" in issuer:
            return PlatformKind(parse_tcb_info(collateral.tcb_info).fmspc, authority)
    raise CollateralError(f"PCK CRL is of {issuer[:100]!r}, no PCK CA")


class CollateralCache:
    """Collateral by kind of platform.

    Args:
        service: where to fetch; None works offline, from store and bundles.
        fetch: how to fetch.
        store: where to keep it; None keeps it in memory only.
        clock: returns Unix time.
    """

    def __init__(
        self,
        *,
        service: CollateralService | None,
        fetch: Fetcher,
        store: Store | None,
        clock: Callable[[], float],
    ) -> None:
        self._service = service
        self._fetch = fetch
        self._store = store
        self._clock = clock
        self._ready: dict[PlatformKind, tuple[Collateral, int]] = {}
        self._locks: defaultdict[PlatformKind, asyncio.Lock] = defaultdict(asyncio.Lock)

    def ready(self, kind: PlatformKind) -> Collateral:
        """Return what is in memory and current, without waiting.

        Raises:
            CollateralError: nothing there; call `get` off the request path.
            StaleCollateralError: it is past its next update.
        """
        if kind not in self._ready:
            raise CollateralError(f"no collateral for {kind}", hint="it is fetched on first use")
        collateral, stale_at = self._ready[kind]
        if self._clock() > stale_at:
            raise StaleCollateralError(
                f"collateral for {kind} became stale at {stale_at}",
                hint="is the PCS or PCCS reachable? A bundle can be imported instead",
            )
        return collateral

    async def get(self, kind: PlatformKind) -> Collateral:
        """Return current collateral, from memory, store or service in this order.

        Requests for one kind wait for each other and fetch once. A renewal is tried when less than
        `RENEW_BEFORE` is left; if it fails, what is still valid is used.

        Raises:
            StaleCollateralError: it is stale and could not be renewed.
            CollateralError: there is none and it could not be fetched.
        """
        try:
            async with self._locks[kind]:
                return await self._get(kind)
        finally:
            if kind not in self._ready:  # peers name kinds freely: keep no lock for each name
                self._locks.pop(kind, None)

    async def prewarm(self, kinds: Iterable[PlatformKind]) -> None:
        """Get collateral before it is needed; what fails is logged and tried again on use."""
        for kind in kinds:
            try:
                await self.get(kind)
            except CollateralError as error:
                _log.warning("collateral_not_prewarmed kind=%s cause=%s", kind, error)

    def import_bundle(self, data: bytes) -> tuple[PlatformKind, ...]:
        """Keep the collateral of a file and return which kinds it was about.

        Raises:
            CollateralError: it cannot be read.
        """
        entries = [(kind_of(one), one) for one in parse_collateral(data)]
        for kind, collateral in entries:
            self._keep(kind, collateral)
        return tuple(kind for kind, _ in entries)

    def export_bundle(self) -> str:
        """Return everything in memory as one file for a machine without network."""
        return encode_bundle(collateral for collateral, _ in self._ready.values())

    async def _get(self, kind: PlatformKind) -> Collateral:
        self._load(kind)
        if self._left(kind) >= RENEW_BEFORE:
            return self.ready(kind)
        try:
            await self._renew(kind)
        except BuildernetError as error:
            _log.warning("collateral_not_renewed kind=%s cause=%s", kind, error)
            if kind not in self._ready:
                raise CollateralError(
                    f"no collateral for {kind}: {error}", hint=error.hint
                ) from error
        return self.ready(kind)

    def _left(self, kind: PlatformKind) -> float:
        return self._ready[kind][1] - self._clock() if kind in self._ready else -1

    def _load(self, kind: PlatformKind) -> None:
        if kind in self._ready or self._store is None:
            return
        data = self._store.read(_name(kind))
        if data is None:
            return
        try:
            (collateral,) = parse_collateral(data)
            self._remember(kind, collateral)
        except (CollateralError, ValueError) as error:
            _log.warning("stored_collateral_unreadable kind=%s cause=%s", kind, error)

    async def _renew(self, kind: PlatformKind) -> None:
        if self._service is None:
            raise CollateralError("offline", hint="import a bundle")
        collateral = await fetch_collateral(kind, service=self._service, fetch=self._fetch)
        if kind_of(collateral) != kind:
            raise CollateralError(f"the service answered about {kind_of(collateral)}")
        self._keep(kind, collateral)

    def _keep(self, kind: PlatformKind, collateral: Collateral) -> None:
        self._remember(kind, collateral)
        if self._store is not None:
            self._store.write(_name(kind), encode_bundle([collateral]).encode())

    def _remember(self, kind: PlatformKind, collateral: Collateral) -> None:
        if kind not in self._ready and len(self._ready) >= MAX_KINDS:
            raise CollateralError(f"collateral of {MAX_KINDS} kinds of platform is kept already")
        self._ready[kind] = collateral, next_update(collateral)


def _name(kind: PlatformKind) -> str:
    return f"collateral-{kind}.json"
