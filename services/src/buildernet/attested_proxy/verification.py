# SPDX-License-Identifier: MIT
"""The validator of production: real evidence, judged by `buildernet.attestation`."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from cryptography import x509

from buildernet.attestation.azure import (
    AzureDemands,
    VerifiedAzure,
    parse_azure_evidence,
    parse_azure_tpm_document,
    verify_azure_evidence,
    verify_azure_tpm_document,
)
from buildernet.attestation.collateral import Collateral
from buildernet.attestation.policy import MeasurementPolicy
from buildernet.attestation.registers import Digest, Register
from buildernet.attestation.verify import (
    INTEL,
    TCBPolicy,
    TrustAnchors,
    VerifiedQuote,
    verify_quote,
)
from buildernet.attestation.verify.status import UP_TO_DATE_ONLY
from buildernet.attested_proxy import documents
from buildernet.attested_proxy.evidence import AttestationType

FindCollateral = Callable[[bytes], Collateral]
"""Gives the collateral for a TDX quote; raises CollateralError when there is none."""


@dataclass(frozen=True, slots=True)
class ProvenClaims:
    """What verified evidence proves."""

    registers: Mapping[Register, Digest]
    record: str | None


@dataclass(frozen=True, slots=True)
class AzureAnchors:
    """Whom to believe about attestation keys of Azure's vTPMs."""

    roots: tuple[x509.Certificate, ...] | None = None
    """None means Azure's."""
    issuers: tuple[x509.Certificate, ...] = ()
    """Intermediates that peers do not send; not believed themselves."""
    dangerously_accept_without_certificate: bool = False
    """Take documents of protocol A without any."""


AZURE: Final = AzureAnchors()


@dataclass(frozen=True, slots=True)
class EvidenceValidator:
    """Verifies TDX and Azure evidence against one policy."""

    find_collateral: FindCollateral
    measurements: MeasurementPolicy | None
    """None leaves the comparison to the caller, who must have been asked for that by name."""
    roots: TrustAnchors = INTEL
    azure: AzureAnchors = AZURE
    policy: TCBPolicy = UP_TO_DATE_ONLY
    clock: Callable[[], float] = time.time

    def validate(self, kind: AttestationType, evidence: bytes, report_data: bytes) -> ProvenClaims:
        """Verify evidence as protocol B carries it.

        Raises:
            BuildernetError: A step of the verification failed; the message names it.
        """
        if kind is not AttestationType.AZURE_TDX:
            return self._validate_quote(evidence, report_data)
        parsed = parse_azure_evidence(evidence)
        return _claims(
            verify_azure_evidence(
                parsed, self._azure_demands(parsed.tdx_quote), report_data=report_data
            )
        )

    def validate_document(
        self, kind: AttestationType, document: bytes, *, user_data: bytes, extra_data: bytes
    ) -> ProvenClaims:
        """Verify a document of protocol A.

        Raises:
            BuildernetError: A step of the verification failed; the message names it.
        """
        if kind is not AttestationType.AZURE_TDX:
            quote = documents.parse_quote(document, user_data=user_data)
            return self._validate_quote(quote, documents.report_data(extra_data))
        parsed = parse_azure_tpm_document(document)
        return _claims(
            verify_azure_tpm_document(
                parsed,
                self._azure_demands(parsed.tdx_quote),
                user_data=user_data,
                extra_data=extra_data,
                dangerously_accept_without_ak_certificate=(
                    self.azure.dangerously_accept_without_certificate
                ),
            )
        )

    def _azure_demands(self, tdx_quote: bytes) -> AzureDemands:
        return AzureDemands(
            collateral=self.find_collateral(tdx_quote),
            at=int(self.clock()),
            measurements=self.measurements,
            roots=self.roots,
            ak_roots=self.azure.roots,
            ak_issuers=self.azure.issuers,
            policy=self.policy,
        )

    def _validate_quote(self, quote: bytes, report_data: bytes) -> ProvenClaims:
        return _claims(
            verify_quote(
                quote,
                collateral=self.find_collateral(quote),
                at=int(self.clock()),
                report_data=report_data,
                measurements=self.measurements,
                roots=self.roots,
                policy=self.policy,
            )
        )


def _claims(verified: VerifiedQuote | VerifiedAzure) -> ProvenClaims:
    match = verified.match
    record = None if match is None else match.record.measurement_id
    return ProvenClaims(verified.registers, record)
