# SPDX-License-Identifier: MIT
"""Azure's binding chain: from Intel's signature to the PCRs of the guest.

| step | check |
|---|---|
| A-L | the TDX quote (`verify_quote`) |
| Z1 | HCL report is well formed, about a trust domain |
| Z2 | report data of the quote is the hash of the HCL report's runtime claims |
| Z3 | the HCL report's TD report says what the quote says |
| Z4 | runtime claims carry the expected user data |
| T1-T5 | the vTPM quote, signed by the attestation key of the runtime claims (`tpm_quote`) |
| T6-T9 | certificate chain of the attestation key (`ak_chain`) |
| L | the PCRs against the measurement policy |

Reference:
    specs/attestation.md section 4.2; specs/services.md sections 2.3 and 2.8;
    docs/protocols/evidence.md.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from cryptography import x509

from buildernet.attestation.azure.evidence import AzureEvidence, VTPMQuote
from buildernet.attestation.azure.hcl import HCLReport, parse_hcl_report
from buildernet.attestation.azure.links import (
    check_attestation_key,
    check_claims,
    check_vtpm_quote,
    match_pcrs,
    pcr_registers,
    require_equal,
    td_fields,
)
from buildernet.attestation.collateral import Collateral
from buildernet.attestation.errors import StepRecord, explaining
from buildernet.attestation.policy import MeasurementMatch, MeasurementPolicy
from buildernet.attestation.quote import TDReport
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

NONCE_BYTES: Final = 32
"""Of the report input, its first half is the vTPM quote's nonce."""


@dataclass(frozen=True, slots=True)
class VerifiedAzure:
    """Evidence that passed every step."""

    quote: VerifiedQuote
    tpm_quote: TPMQuote
    registers: Mapping[Register, Digest]
    """PCR 0 to 23, sha256, authentic."""
    match: MeasurementMatch | None
    steps: tuple[StepRecord, ...]


def verify_azure_evidence(
    evidence: AzureEvidence,
    *,
    report_data: bytes,
    collateral: Collateral,
    at: int,
    measurements: MeasurementPolicy | None,
    roots: TrustAnchors = INTEL,
    ak_roots: Sequence[x509.Certificate] | None = None,
    ak_issuers: Sequence[x509.Certificate] = (),
    policy: TCBPolicy = UP_TO_DATE_ONLY,
    td_policy: TDPolicy = DEFAULT_TD_POLICY,
) -> VerifiedAzure:
    """Verify evidence as protocols B and C carry it.

    Args:
        evidence: parsed document.
        report_data: 64 bytes the evidence must be bound to.
        collateral: for the host's platform.
        at: Unix time at which everything must be valid.
        measurements: images taken, by PCRs; None leaves the comparison to the caller.
        roots: whom to believe about TDX.
        ak_roots: whom to believe about attestation keys; None means Azure's.
        ak_issuers: intermediate certificates that the verifier has, beside those sent.
        policy: which TCB statuses are taken.
        td_policy: demands on the trust domain of the paravisor.

    Raises:
        AzureEvidenceFormatError: step Z1 failed.
        QuoteFormatError: the TDX quote is damaged.
        TPMQuoteFormatError: the vTPM's quote is damaged.
        VerificationError: another step failed; it names the step and the difference.
    """
    passed: list[StepRecord] = []
    with explaining(passed):
        verified = verify_quote(
            evidence.tdx_quote,
            collateral=collateral,
            at=at,
            report_data=None,
            measurements=None,
            roots=roots,
            policy=policy,
            td_policy=td_policy,
        )
        passed += verified.steps
        report = parse_hcl_report(evidence.hcl_report)
        tpm_quote, steps = verify_azure_binding(
            report,
            td_report=verified.quote.body,
            vtpm=evidence.quote,
            nonce=report_data[:NONCE_BYTES],
            user_data=report_data,
        )
        passed += steps
        passed.append(
            check_attestation_key(
                evidence.ak_certificate,
                issuers=(*evidence.ak_issuers, *ak_issuers),
                roots=ak_roots,
                at=at,
                claims=report.claims,
            )
        )
        registers = pcr_registers(evidence.quote)
        match = match_pcrs(measurements, registers, passed)
    return VerifiedAzure(
        quote=verified,
        tpm_quote=tpm_quote,
        registers=registers,
        match=match,
        steps=tuple(passed),
    )


def verify_azure_binding(
    report: HCLReport,
    *,
    td_report: TDReport,
    vtpm: VTPMQuote,
    nonce: bytes,
    user_data: bytes,
) -> tuple[TPMQuote, tuple[StepRecord, ...]]:
    """Check steps Z2 to Z4 and T1 to T5.

    Args:
        report: parsed HCL report.
        td_report: from a quote that passed steps A to L.
        vtpm: the vTPM's quote.
        nonce: what the vTPM quote must include.
        user_data: 64 bytes the runtime claims must carry.

    Raises:
        VerificationError: a step failed.
        TPMQuoteFormatError: the vTPM's quote is damaged.
    """
    claims = report.claims
    passed = [StepRecord("Z1", "HCL report is well formed", (f"virtual machine {claims.vm_id}",))]
    with explaining(passed):
        passed.append(check_claims(report.runtime_data, report.hash_bank, td_report))
        for name, place, actual in td_fields(td_report):
            require_equal("Z3", f"{name} of the HCL report", actual, report.td_report[place])
        passed.append(StepRecord("Z3", "TD report and quote agree", ()))
        require_equal("Z4", "user data of the runtime claims", user_data, claims.user_data)
        found = (claims.user_data.hex(),)
        passed.append(StepRecord("Z4", "runtime claims carry the user data", found))
        quote, steps = check_vtpm_quote(vtpm, claims, nonce=nonce)
    return quote, (*passed, *steps)
