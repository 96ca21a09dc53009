# SPDX-License-Identifier: MIT
"""The validator of production: real evidence, judged by `buildernet.attestation`."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from buildernet.attestation.azure import parse_azure_evidence, verify_azure_evidence
from buildernet.attestation.collateral import Collateral
from buildernet.attestation.policy import MeasurementMatch, MeasurementPolicy
from buildernet.attestation.registers import Digest, Register
from buildernet.attestation.verify import INTEL, TCBPolicy, TrustAnchors, verify_quote
from buildernet.attestation.verify.status import UP_TO_DATE_ONLY
from buildernet.attested_proxy.evidence import AttestationType

FindCollateral = Callable[[bytes], Collateral]
"""Gives the collateral for a TDX quote; raises CollateralError when there is none."""


@dataclass(frozen=True, slots=True)
class ProvenClaims:
    """What verified evidence proves."""

    registers: Mapping[Register, Digest]
    record: str | None


@dataclass(frozen=True, slots=True)
class EvidenceValidator:
    """Verifies TDX and Azure evidence against one policy."""

    find_collateral: FindCollateral
    measurements: MeasurementPolicy | None
    """None leaves the comparison to the caller, who must have been asked for that by name."""
    roots: TrustAnchors = INTEL
    policy: TCBPolicy = UP_TO_DATE_ONLY
    clock: Callable[[], float] = time.time

    def validate(self, kind: AttestationType, evidence: bytes, report_data: bytes) -> ProvenClaims:
        """Verify evidence as protocol B carries it; of protocol A the quote inside its document.

        Raises:
            BuildernetError: A step of the verification failed; the message names it.
        """
        at = int(self.clock())
        if kind is AttestationType.AZURE_TDX:
            parsed = parse_azure_evidence(evidence)
            azure = verify_azure_evidence(
                parsed,
                report_data=report_data,
                collateral=self.find_collateral(parsed.tdx_quote),
                at=at,
                measurements=self.measurements,
                roots=self.roots,
                policy=self.policy,
            )
            return ProvenClaims(azure.registers, _name(azure.match))
        verified = verify_quote(
            evidence,
            collateral=self.find_collateral(evidence),
            at=at,
            report_data=report_data,
            measurements=self.measurements,
            roots=self.roots,
            policy=self.policy,
        )
        return ProvenClaims(verified.registers, _name(verified.match))


def _name(match: MeasurementMatch | None) -> str | None:
    return None if match is None else match.record.measurement_id
