# SPDX-License-Identifier: MIT
"""Verification of a node's evidence against its statement. No I/O.

Reference: docs/protocols/evidence.md (formats), docs/protocols/orderflow-hub.md (statement).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from buildernet.attestation.azure import AzureDemands, parse_azure_evidence, verify_azure_evidence
from buildernet.attestation.collateral import Collateral
from buildernet.attestation.errors import NodeStatementError, StaleEvidenceError
from buildernet.attestation.node.statement import NodeStatement
from buildernet.attestation.policy import MeasurementMatch, MeasurementPolicy, Platform
from buildernet.attestation.registers import Digest, Register
from buildernet.attestation.verify import INTEL, TCBPolicy, TrustAnchors, verify_quote
from buildernet.attestation.verify.status import UP_TO_DATE_ONLY

ATTESTATION_TYPES: Final[Mapping[str, Platform]] = MappingProxyType(
    {
        "dcap-tdx": Platform.DCAP_TDX,
        "qemu-tdx": Platform.DCAP_TDX,
        "gcp-tdx": Platform.DCAP_TDX,
        "azure-tdx": Platform.AZURE_TDX,
    }
)
"""Types of evidence by the names that headers, measurements and protocols use."""

MAX_EVIDENCE_BYTES: Final = 128 * 1024
"""Azure's document, the longest; a TDX quote has 8 KB."""

CLOCK_SKEW_S: Final = 5
"""How far a timestamp may be in the future: clocks of two machines never agree to the second."""


@dataclass(frozen=True, slots=True)
class NodeClaims:
    """What verified evidence proves about a node."""

    registers: Mapping[Register, Digest]
    match: MeasurementMatch | None
    """The measurement that fits; None when they were not compared."""


def quote_of(attestation_type: str, evidence: bytes) -> bytes:
    """Return the TDX quote inside evidence, to find its collateral.

    Raises:
        NodeStatementError: The type is not known.
        AzureEvidenceFormatError: The evidence is not of its type.
    """
    if _platform(attestation_type) is Platform.AZURE_TDX:
        return parse_azure_evidence(evidence).tdx_quote
    return evidence


def verify_node_evidence(
    attestation_type: str,
    evidence: bytes,
    *,
    statement: NodeStatement,
    collateral: Collateral,
    at: int,
    measurements: MeasurementPolicy | None,
    roots: TrustAnchors = INTEL,
    policy: TCBPolicy = UP_TO_DATE_ONLY,
) -> NodeClaims:
    """Verify that evidence is real, is about this statement, and fits the measurements.

    How old the statement is stays with the caller: see `require_fresh`.

    Args:
        attestation_type: A key of `ATTESTATION_TYPES`.
        evidence: A TDX quote, or Azure's document.
        statement: What the evidence must be bound to.
        collateral: For the platform that made the quote.
        at: Unix time at which everything must be valid.
        measurements: Images taken; None leaves the comparison to the caller.
        roots: Whom to believe about TDX.
        policy: Which TCB statuses are taken.

    Raises:
        NodeStatementError: The type is not known.
        BuildernetError: What `verify_quote` or `verify_azure_evidence` raises.
    """
    if _platform(attestation_type) is Platform.AZURE_TDX:
        azure = verify_azure_evidence(
            parse_azure_evidence(evidence),
            AzureDemands(
                collateral=collateral, at=at, measurements=measurements, roots=roots, policy=policy
            ),
            report_data=statement.report_data(),
        )
        return NodeClaims(azure.registers, azure.match)
    verified = verify_quote(
        evidence,
        collateral=collateral,
        at=at,
        report_data=statement.report_data(),
        measurements=measurements,
        roots=roots,
        policy=policy,
    )
    return NodeClaims(verified.registers, verified.match)


def encode_measurement(registers: Mapping[Register, Digest]) -> bytes:
    """Return registers as one string, `tee_measurement`: the values in the order of their numbers.

    TDX: MRTD and RTMR0 to RTMR3, 240 bytes. Azure: 24 PCRs, 768 bytes.
    """
    return b"".join(registers[register] for register in sorted(registers, key=_number))


def require_fresh(timestamp: int, *, now: float, max_age_s: int, what: str) -> None:
    """Raise unless a timestamp is neither in the future nor too old.

    Raises:
        StaleEvidenceError: It is more than `CLOCK_SKEW_S` ahead or more than `max_age_s` behind.
    """
    age_s = int(now) - timestamp
    if age_s < -CLOCK_SKEW_S:
        raise StaleEvidenceError(f"{what} is {-age_s} s in the future", hint="check the clocks")
    if age_s > max_age_s:
        raise StaleEvidenceError(f"{what} is {age_s} s old, at most {max_age_s} s are taken")


def _platform(attestation_type: str) -> Platform:
    platform = ATTESTATION_TYPES.get(attestation_type)
    if platform is None:
        raise NodeStatementError(
            f"unknown attestation type {attestation_type[:40]!r}",
            hint=f"known: {', '.join(ATTESTATION_TYPES)}",
        )
    return platform


def _number(register: Register) -> int:
    return register.number
