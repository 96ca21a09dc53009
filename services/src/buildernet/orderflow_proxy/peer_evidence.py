# SPDX-License-Identifier: MIT
"""Verifies what a peer proves about itself, so that the hub's word is not needed.

An entry of the hub's list is believed when its evidence is of real hardware, of an image that we
take, young enough, and bound to the TLS key and signing address that the entry names. Of the entry
only these two are used then: whatever else the hub writes beside them counts for nothing.

Reference: docs/protocols/orderflow-hub.md, section "What a node does with it".
"""

import asyncio
import hashlib
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, Final

import aiohttp
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding

from buildernet.attestation.collateral import Collateral
from buildernet.attestation.errors import (
    CollateralError,
    MeasurementMismatchError,
    PolicyError,
    StaleEvidenceError,
    VerificationError,
)
from buildernet.attestation.node import (
    ATTESTATION_TYPES,
    MAX_EVIDENCE_BYTES,
    NodeStatement,
    key_digest,
    quote_of,
    require_fresh,
    verify_node_evidence,
)
from buildernet.attestation.policy import MeasurementPolicy, MeasurementsFile
from buildernet.attestation.verify import INTEL, UP_TO_DATE_ONLY, TCBPolicy, TrustAnchors
from buildernet.attestation.verify.sources import FindCollateral, find_collateral, load_roots
from buildernet.attestation.verify.status import OUT_OF_DATE_TOO
from buildernet.base.errors import BuildernetError
from buildernet.ethereum.address import Address
from buildernet.net.fetch import HttpFetcher
from buildernet.net.file_store import FileStore
from buildernet.orderflow_proxy.config import Evidence
from buildernet.orderflow_proxy.peer import MAX_PEERS, Peer, PeerRefusedError
from buildernet.orderflow_proxy.peers import VerifyPeer, believe_hub

BELIEVED_S: Final = 3600.0
"""Evidence is verified again after this at the latest: by then a TCB level may have changed
and a certificate been revoked."""

REFUSED_S: Final = 300.0
"""A refusal is not worked out again for so long; the clock may have been wrong before."""

UNDECIDED_S: Final = 60.0
"""After collateral could not be had: peers make us ask for it, so not at every list."""

FETCH_TIMEOUT_S: Final = 25.0
"""For collateral of one peer; the list waits for the slowest."""

_AT_ONCE: Final = 2
"""Verifications that run at a time, each a few milliseconds in a thread: orders go first."""

_MAX_CERTIFICATE_CHARS: Final = 64 * 1024
_NODE_ID_BYTES: Final = 32

_log = logging.getLogger(__name__)


class PeerEntryFormatError(BuildernetError):
    """An entry lacks a part that belongs to evidence, or has it in another form."""


@dataclass(frozen=True, slots=True)
class PeerStatement:
    """What an entry claims, and the evidence for it."""

    statement: NodeStatement
    leaf: x509.Certificate
    attestation_type: str
    evidence: bytes

    def digest(self) -> bytes:
        """Return the name of everything that the verification depends on, but time and policy."""
        claim = self.statement.encode() + self.attestation_type.encode() + b"\0"
        return hashlib.sha256(claim + self.evidence).digest()


# Any: JSON as the hub wrote it.
def parse_statement(entry: Mapping[str, Any]) -> PeerStatement:
    """Read a `PeerInfo`.

    Raises:
        PeerEntryFormatError: A part is missing, malformed or too long.
        NodeStatementError: A part is out of its range.
    """
    pem = _text(entry, "tls_certificate", _MAX_CERTIFICATE_CHARS)
    try:
        leaf = x509.load_pem_x509_certificates(pem.encode())[0]
        tls_key = key_digest(leaf)
    except (ValueError, UnsupportedAlgorithm) as exc:
        raise PeerEntryFormatError("tls_certificate is no PEM certificate") from exc
    address = _text(entry, "ecdsa_pubkey_address", 64)
    timestamp = entry.get("timestamp")
    if type(timestamp) is not int:
        raise PeerEntryFormatError("timestamp is not a whole number of seconds")
    kind = _text(entry, "attestation_type", 32)
    if kind not in ATTESTATION_TYPES:
        raise PeerEntryFormatError(f"attestation_type {kind!r} is not known")
    statement = NodeStatement(
        node_id=_hexadecimal(entry, "node_id", _NODE_ID_BYTES),
        tls_key=tls_key,
        address=Address.parse(address).raw if address else None,
        ip_address=_text(entry, "ip_address", 64),
        timestamp=timestamp,
    )
    return PeerStatement(
        statement, leaf, kind, _hexadecimal(entry, "tee_attestation", MAX_EVIDENCE_BYTES)
    )


@dataclass(frozen=True, slots=True)
class _Judgement:
    policy: MeasurementPolicy
    until: float
    """Unix time."""
    error: PeerRefusedError | None


class PeerVerifier:
    """Verifies peers; each piece of evidence once, until its judgement expires."""

    def __init__(
        self,
        *,
        find_collateral: FindCollateral,
        measurements: Callable[[], MeasurementPolicy],
        max_age_s: int,
        roots: TrustAnchors = INTEL,
        policy: TCBPolicy = UP_TO_DATE_ONLY,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Say what is demanded.

        Args:
            find_collateral: Gives collateral for a quote.
            measurements: Gives the images that are taken now; raises PolicyError when unknown.
            max_age_s: Most that evidence may be old.
            roots: Whom to believe about TDX.
            policy: Which TCB statuses are taken.
            clock: Returns Unix time.
        """
        self._find_collateral = find_collateral
        self._measurements = measurements
        self._max_age_s = max_age_s
        self._roots = roots
        self._policy = policy
        self._clock = clock
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._judgements: dict[bytes, _Judgement] = {}
        self.verified = 0
        """Verifications that were worked out, and not remembered."""

    async def verify(self, peer: Peer) -> Peer:
        """Return a peer as far as it is proved: its attested certificate and address, no others.

        Raises:
            PeerRefusedError: It is not proved; says which step failed.
        """
        try:
            if peer.evidence is None:
                raise PeerRefusedError("missing", "the hub's list has no evidence for it")
            claimed = parse_statement(peer.evidence)
            measurements = self._measurements()
            now = self._clock()
            moment = claimed.statement.timestamp
            require_fresh(moment, now=now, max_age_s=self._max_age_s, what="evidence")
            await self._require_proved(claimed, measurements, now)
        except PeerRefusedError:
            raise
        except BuildernetError as exc:
            raise _refusal(exc) from exc
        address = claimed.statement.address
        return replace(
            peer,
            certificates=claimed.leaf.public_bytes(Encoding.PEM).decode(),
            address=None if address is None else Address(address),
        )

    async def _require_proved(
        self, claimed: PeerStatement, measurements: MeasurementPolicy, now: float
    ) -> None:
        digest = claimed.digest()
        known = self._judgements.get(digest)
        if known is None or known.policy is not measurements or now >= known.until:
            error, lasts_s = await self._judge(claimed, measurements, now)
            known = _Judgement(measurements, now + lasts_s, error)
            self._remember(digest, known, now)
        if known.error is not None:
            raise PeerRefusedError(known.error.reason, known.error.message)

    async def _judge(
        self, claimed: PeerStatement, measurements: MeasurementPolicy, now: float
    ) -> tuple[PeerRefusedError | None, float]:
        self.verified += 1
        try:
            collateral = await self._collateral(claimed)
            async with self._turns:
                await asyncio.to_thread(
                    verify_node_evidence,
                    claimed.attestation_type,
                    claimed.evidence,
                    statement=claimed.statement,
                    collateral=collateral,
                    at=int(now),
                    measurements=measurements,
                    roots=self._roots,
                    policy=self._policy,
                )
        except BuildernetError as exc:
            lasts_s = UNDECIDED_S if isinstance(exc, CollateralError) else REFUSED_S
            return _refusal(exc), lasts_s
        return None, BELIEVED_S

    async def _collateral(self, claimed: PeerStatement) -> Collateral:
        try:
            async with asyncio.timeout(FETCH_TIMEOUT_S):
                quote = quote_of(claimed.attestation_type, claimed.evidence)
                return await self._find_collateral(quote)
        except TimeoutError as exc:
            raise CollateralError(f"no collateral in {FETCH_TIMEOUT_S:g} s") from exc

    def _remember(self, digest: bytes, judgement: _Judgement, now: float) -> None:
        self._judgements.pop(digest, None)
        if len(self._judgements) >= 2 * MAX_PEERS:  # evidence before the last, or a clock set back
            for old, known in [*self._judgements.items()]:
                if now >= known.until:
                    del self._judgements[old]
            while len(self._judgements) >= 2 * MAX_PEERS:
                del self._judgements[next(iter(self._judgements))]
        self._judgements[digest] = judgement


@asynccontextmanager
async def verifying(demands: Evidence) -> AsyncIterator[VerifyPeer]:
    """Give what decides about the peers of the hub's list.

    Raises:
        BuildernetError: The settings do not say what to demand, or a file cannot be used.
    """
    demands.require_decision()
    if demands.dangerously_trust_hub or demands.measurements is None:
        _log.warning(
            "hub_trusted setting=dangerously_trust_hub cause=whoever runs the hub can name any peer"
        )
        yield believe_hub
        return
    measurements = MeasurementsFile(demands.measurements)
    if demands.measurements.exists():
        measurements.read()  # a person who is watching the start can mend it
    async with aiohttp.ClientSession() as session:
        verifier = PeerVerifier(
            find_collateral=find_collateral(
                bundle=demands.collateral,
                pccs_url=demands.pccs_url,
                fetch=HttpFetcher(session),
                store=None if demands.collateral_dir is None else FileStore(demands.collateral_dir),
            ),
            measurements=measurements.read,
            max_age_s=demands.max_age_s,
            roots=load_roots(demands.trust_root),
            policy=OUT_OF_DATE_TOO if demands.override_azure_outdated_tcb else UP_TO_DATE_ONLY,
        )
        yield verifier.verify


def _refusal(error: BuildernetError) -> PeerRefusedError:
    """Return a refusal with the label that counts it; labels are few whatever peers send."""
    match error:
        case PeerRefusedError():
            return error
        case MeasurementMismatchError():
            reason = "measurement"
        case VerificationError():
            reason = f"step_{error.step}"
        case StaleEvidenceError():
            reason = "stale"
        case CollateralError():
            reason = "collateral"
        case PolicyError():
            reason = "policy"
        case _:
            reason = "format"
    return PeerRefusedError(reason, error.message)


# Any: as above.
def _text(entry: Mapping[str, Any], name: str, limit: int) -> str:
    text = entry.get(name)
    if text is None:
        return ""
    if not isinstance(text, str) or len(text) > limit:
        raise PeerEntryFormatError(f"{name} is no text of at most {limit} characters")
    return text


# Any: as above.
def _hexadecimal(entry: Mapping[str, Any], name: str, limit: int) -> bytes:
    text = _text(entry, name, 2 + 2 * limit)
    try:
        if text[:2] != "0x":
            raise ValueError
        return bytes.fromhex(text[2:])
    except ValueError as exc:
        raise PeerEntryFormatError(f"{name} is not 0x and hexadecimal digits") from exc
