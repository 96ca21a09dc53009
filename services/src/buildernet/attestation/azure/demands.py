# SPDX-License-Identifier: MIT
"""What Azure's evidence is held against; the steps that its two documents have in common."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cryptography import x509

from buildernet.attestation.azure.evidence import VTPMQuote
from buildernet.attestation.azure.hcl import RuntimeClaims
from buildernet.attestation.azure.links import check_attestation_key, match_pcrs, pcr_registers
from buildernet.attestation.collateral import Collateral
from buildernet.attestation.errors import StepRecord
from buildernet.attestation.policy import MeasurementMatch, MeasurementPolicy
from buildernet.attestation.registers import Digest, Register
from buildernet.attestation.tpm_quote import TPMQuote
from buildernet.attestation.verify import (
    INTEL,
    TCBPolicy,
    TDPolicy,
    TrustAnchors,
    VerifiedQuote,
    verify_quote,
)
from buildernet.attestation.verify.status import UP_TO_DATE_ONLY
from buildernet.attestation.verify.td_policy import DEFAULT_TD_POLICY


@dataclass(frozen=True, slots=True)
class VerifiedAzure:
    """Evidence that passed every step."""

    quote: VerifiedQuote
    tpm_quote: TPMQuote
    registers: Mapping[Register, Digest]
    """PCR 0 to 23, sha256, authentic."""
    match: MeasurementMatch | None
    steps: tuple[StepRecord, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AzureDemands:
    """Whom and what to believe, and which images are taken."""

    collateral: Collateral
    """For the host's platform."""
    at: int
    """Unix time at which everything must be valid."""
    measurements: MeasurementPolicy | None
    """Images taken, by PCRs; None leaves the comparison to the caller."""
    roots: TrustAnchors = INTEL
    """Whom to believe about TDX."""
    ak_roots: Sequence[x509.Certificate] | None = None
    """Whom to believe about attestation keys; None means Azure's."""
    ak_issuers: Sequence[x509.Certificate] = ()
    """Intermediate certificates that the verifier has, beside those sent."""
    policy: TCBPolicy = UP_TO_DATE_ONLY
    """Which TCB statuses are taken."""
    td_policy: TDPolicy = DEFAULT_TD_POLICY
    """Demands on the trust domain of the paravisor."""

    def verify_host(self, quote: bytes) -> VerifiedQuote:
        """Check steps A to L of the paravisor's quote; what it is about is left to Z2.

        Raises:
            QuoteFormatError: The quote is damaged.
            VerificationError: A step failed.
        """
        return verify_quote(
            quote,
            collateral=self.collateral,
            at=self.at,
            report_data=None,
            measurements=None,
            roots=self.roots,
            policy=self.policy,
            td_policy=self.td_policy,
        )

    def check_attestation_key(
        self,
        certificate: x509.Certificate,
        *,
        sent: Sequence[x509.Certificate],
        claims: RuntimeClaims,
    ) -> StepRecord:
        """Check steps T6 to T9 with the issuers that were sent, and ours.

        Raises:
            VerificationError: A step failed.
            CertificateFormatError: A certificate is damaged.
        """
        return check_attestation_key(
            certificate,
            issuers=(*sent, *self.ak_issuers),
            roots=self.ak_roots,
            at=self.at,
            claims=claims,
        )

    def judge(
        self,
        host: VerifiedQuote,
        tpm_quote: TPMQuote,
        vtpm: VTPMQuote,
        *,
        passed: list[StepRecord],
    ) -> VerifiedAzure:
        """Compare the guest's PCRs, step L, when every other step has passed.

        Raises:
            MeasurementMismatchError: No record fits.
        """
        registers = pcr_registers(vtpm)
        match = match_pcrs(self.measurements, registers, passed)
        return VerifiedAzure(host, tpm_quote, registers, match, tuple(passed))
