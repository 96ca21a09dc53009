# SPDX-License-Identifier: MIT
"""Verification of what nodes post: the request of seed 000 read, and its evidence judged.

Reference: docs/protocols/orderflow-hub.md, section "Attestation exchange".
"""

import asyncio
import hmac
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from buildernet.attestation.collateral import Collateral
from buildernet.attestation.errors import CollateralError, NodeStatementError
from buildernet.attestation.node import (
    ATTESTATION_TYPES,
    MAX_EVIDENCE_BYTES,
    NodeClaims,
    NodeStatement,
    encode_measurement,
    key_digest,
    quote_of,
    require_fresh,
    verify_node_evidence,
)
from buildernet.attestation.policy import MeasurementPolicy
from buildernet.attestation.verify import INTEL, TCBPolicy, TrustAnchors
from buildernet.attestation.verify.status import UP_TO_DATE_ONLY
from buildernet.base.errors import BuildernetError
from buildernet.builder_hub.credentials import parse_certificates, require_valid
from buildernet.builder_hub.errors import BadRequestError, UnavailableError, UnprovedError
from buildernet.builder_hub.names import parse_address, parse_ip

MAX_POST_AGE_S: Final = 300
"""Seed 000: a request older than five minutes is refused. What is passed on may be older."""

MAX_MEASUREMENT_BYTES: Final = 1024
"""24 PCRs of 32 bytes are 768."""

_NODE_ID_BYTES: Final = 32

_AT_ONCE: Final = 4
"""Verifications that run at a time; each takes a few milliseconds of a thread."""

FindCollateral = Callable[[bytes], Awaitable[Collateral]]
"""Gives the collateral for a TDX quote; raises CollateralError when there is none."""


@dataclass(frozen=True, slots=True)
class AttestationRequest:
    """`TeeAttestationRequest` with the evidence in it."""

    statement: NodeStatement
    attestation_type: str
    tls_cert: str
    ecdsa_address: str | None
    tee_measurement: bytes
    tee_attestation: bytes


# Any: JSON, before it is checked.
def parse_attestation_request(document: Mapping[str, Any], *, now: float) -> AttestationRequest:
    """Read a request.

    Raises:
        BadRequestError: A part is missing or malformed, or the certificate has expired.
    """
    text = document.get("tls_certificate")
    if not isinstance(text, str):
        raise BadRequestError("tls_certificate is not text")
    leaf = parse_certificates(text)[0]
    require_valid(leaf, at=now)
    kind = document.get("attestation_type")
    if not isinstance(kind, str) or kind not in ATTESTATION_TYPES:
        raise BadRequestError(f"attestation_type is none of {', '.join(ATTESTATION_TYPES)}")
    address = document.get("ecdsa_pubkey_address") or None
    address = None if address is None else parse_address(address)
    timestamp = document.get("timestamp")
    if type(timestamp) is not int:
        raise BadRequestError("timestamp is not a whole number of seconds")
    try:
        statement = NodeStatement(
            node_id=_hexadecimal(document, "node_id", low=_NODE_ID_BYTES, high=_NODE_ID_BYTES),
            tls_key=key_digest(leaf),
            address=None if address is None else bytes.fromhex(address[2:]),
            ip_address=parse_ip(document.get("ip_address")),
            timestamp=timestamp,
        )
    except NodeStatementError as exc:
        raise BadRequestError(exc.message) from exc
    return AttestationRequest(
        statement,
        kind,
        text,
        address,
        _hexadecimal(document, "tee_measurement", low=1, high=MAX_MEASUREMENT_BYTES),
        _hexadecimal(document, "tee_attestation", low=1, high=MAX_EVIDENCE_BYTES),
    )


@dataclass(frozen=True, slots=True)
class EvidenceVerifier:
    """Judges evidence of nodes."""

    find_collateral: FindCollateral
    roots: TrustAnchors = INTEL
    policy: TCBPolicy = UP_TO_DATE_ONLY
    _turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_AT_ONCE))

    async def verify(
        self,
        request: AttestationRequest,
        *,
        ip_address: str,
        measurements: MeasurementPolicy,
        now: float,
    ) -> NodeClaims:
        """Check everything a request says.

        Args:
            request: The request.
            ip_address: Where it came from, by the attested proxy.
            measurements: The active ones.
            now: Unix time.

        Raises:
            UnprovedError: It is too old, from elsewhere, or its evidence does not prove it.
            UnavailableError: Collateral cannot be had now.
        """
        statement = request.statement
        if statement.ip_address != ip_address:
            raise UnprovedError(f"ip_address is {statement.ip_address}, the caller's {ip_address}")
        try:
            require_fresh(
                statement.timestamp, now=now, max_age_s=MAX_POST_AGE_S, what="the statement"
            )
            quote = quote_of(request.attestation_type, request.tee_attestation)
            collateral = await self.find_collateral(quote)
            async with self._turns:
                claims = await asyncio.to_thread(
                    verify_node_evidence,
                    request.attestation_type,
                    request.tee_attestation,
                    statement=statement,
                    collateral=collateral,
                    at=int(now),
                    measurements=measurements,
                    roots=self.roots,
                    policy=self.policy,
                )
        except CollateralError as exc:
            raise UnavailableError(f"evidence cannot be judged now: {exc.message}") from exc
        except BuildernetError as exc:
            raise UnprovedError(f"evidence is refused: {exc.message}") from exc
        if not hmac.compare_digest(encode_measurement(claims.registers), request.tee_measurement):
            raise UnprovedError("tee_measurement is not what the evidence shows")
        return claims


# Any: as above.
def _hexadecimal(document: Mapping[str, Any], name: str, *, low: int, high: int) -> bytes:
    text = document.get(name)
    if not isinstance(text, str) or not text.startswith("0x"):
        raise BadRequestError(f"{name} is not 0x and hexadecimal digits")
    try:
        data = bytes.fromhex(text[2:])
    except ValueError as exc:
        raise BadRequestError(f"{name} is not 0x and hexadecimal digits") from exc
    if not low <= len(data) <= high:
        raise BadRequestError(f"{name} has {len(data)} bytes, not {low} to {high}")
    return data
