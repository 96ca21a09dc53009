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

from typing import Final

from buildernet.attestation.azure.demands import AzureDemands, VerifiedAzure
from buildernet.attestation.azure.evidence import AzureEvidence, VTPMQuote
from buildernet.attestation.azure.hcl import HCLReport, parse_hcl_report
from buildernet.attestation.azure.links import (
    check_claims,
    check_vtpm_quote,
    require_equal,
    td_fields,
)
from buildernet.attestation.errors import StepRecord, explaining
from buildernet.attestation.quote import TDReport
from buildernet.attestation.tpm_quote import TPMQuote

NONCE_BYTES: Final = 32
"""Of the report input, its first half is the vTPM quote's nonce."""


def verify_azure_evidence(
    evidence: AzureEvidence, demands: AzureDemands, *, report_data: bytes
) -> VerifiedAzure:
    """Verify evidence as protocols B and C carry it.

    Args:
        evidence: parsed document.
        demands: what it is held against.
        report_data: 64 bytes the evidence must be bound to.

    Raises:
        AzureEvidenceFormatError: step Z1 failed.
        QuoteFormatError: the TDX quote is damaged.
        TPMQuoteFormatError: the vTPM's quote is damaged.
        VerificationError: another step failed; it names the step and the difference.
    """
    passed: list[StepRecord] = []
    with explaining(passed):
        host = demands.verify_host(evidence.tdx_quote)
        passed += host.steps
        report = parse_hcl_report(evidence.hcl_report)
        tpm_quote, steps = verify_azure_binding(
            report,
            td_report=host.quote.body,
            vtpm=evidence.quote,
            nonce=report_data[:NONCE_BYTES],
            user_data=report_data,
        )
        passed += steps
        passed.append(
            demands.check_attestation_key(
                evidence.ak_certificate, sent=evidence.ak_issuers, claims=report.claims
            )
        )
        return demands.judge(host, tpm_quote, evidence.quote, passed=passed)


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
