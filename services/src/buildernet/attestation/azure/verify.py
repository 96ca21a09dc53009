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

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from cryptography import x509

from buildernet.attestation.ak_chain import verify_ak_chain
from buildernet.attestation.azure.anchors import azure_roots
from buildernet.attestation.azure.evidence import AzureEvidence, VTPMQuote
from buildernet.attestation.azure.hcl import HCLReport, parse_hcl_report
from buildernet.attestation.collateral import Collateral
from buildernet.attestation.errors import StepRecord, VerificationError
from buildernet.attestation.policy import MeasurementMatch, MeasurementPolicy, Platform
from buildernet.attestation.quote import TDReport
from buildernet.attestation.registers import PCRS, Bank, Digest, Register
from buildernet.attestation.tpm_quote import Scheme, TPMQuote, TPMSignature, verify_tpm_quote
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
        policy: which TCB statuses are taken.
        td_policy: demands on the trust domain of the paravisor.

    Raises:
        AzureEvidenceFormatError: step Z1 failed.
        QuoteFormatError: the TDX quote is damaged.
        TPMQuoteFormatError: the vTPM's quote is damaged.
        VerificationError: another step failed; it names the step and the difference.
    """
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
    report = parse_hcl_report(evidence.hcl_report)
    tpm_quote, steps = verify_azure_binding(
        report,
        td_report=verified.quote.body,
        vtpm=evidence.quote,
        nonce=report_data[:NONCE_BYTES],
        user_data=report_data,
    )
    chain = verify_ak_chain(
        evidence.ak_certificate,
        issuers=evidence.ak_issuers,
        roots=azure_roots() if ak_roots is None else ak_roots,
        at=at,
        attestation_key=report.claims.attestation_key,
    )
    names = tuple(certificate.subject.rfc4514_string() for certificate in chain)
    record = StepRecord(step="T6-T9", title="attestation key certificate chain", details=names)
    registers = {PCRS[number]: value for number, value in evidence.quote.pcrs[Bank.SHA256].items()}
    match = measurements.match(Platform.AZURE_TDX, registers) if measurements else None
    return VerifiedAzure(
        quote=verified,
        tpm_quote=tpm_quote,
        registers=registers,
        match=match,
        steps=(*verified.steps, *steps, record),
    )


def verify_azure_binding(
    report: HCLReport,
    *,
    td_report: TDReport,
    vtpm: VTPMQuote,
    nonce: bytes,
    user_data: bytes | None,
) -> tuple[TPMQuote, tuple[StepRecord, ...]]:
    """Check steps Z2 to Z4 and T1 to T5.

    Args:
        report: parsed HCL report.
        td_report: from a quote that passed steps A to L.
        vtpm: the vTPM's quote.
        nonce: what the vTPM quote must include.
        user_data: 64 bytes the runtime claims must carry; None for protocol A, which binds through
            `nonce` alone.

    Raises:
        VerificationError: a step failed.
        TPMQuoteFormatError: the vTPM's quote is damaged.
    """
    digest = report.hash_bank.digest(report.runtime_data)
    wanted = digest.ljust(len(td_report.report_data), b"\0")
    _require("Z2", "report data of the quote", wanted, td_report.report_data)
    for name, place, actual in _td_fields(td_report):
        _require("Z3", f"{name} of the HCL report", actual, report.td_report[place])
    claims = report.claims
    if user_data is not None:
        _require("Z4", "user data of the runtime claims", user_data, claims.user_data)
    quote = verify_tpm_quote(
        vtpm.message,
        signature=TPMSignature(Scheme.RSASSA, Bank.SHA256, vtpm.signature),
        attestation_key=claims.attestation_key,
        nonce=nonce,
        pcrs=vtpm.pcrs,
    )
    return quote, (
        StepRecord("Z1", "HCL report is well formed", (f"virtual machine {claims.vm_id}",)),
        StepRecord("Z2", "quote is bound to the runtime claims", (digest.hex(),)),
        StepRecord("Z3", "TD report and quote agree", ()),
        StepRecord(
            "Z4",
            "runtime claims carry the user data",
            ("not asked for",) if user_data is None else (claims.user_data.hex(),),
        ),
        StepRecord("T1-T5", "vTPM quote", (f"{quote.reset_count} resets",)),
    )


def _require(step: str, what: str, expected: bytes, actual: bytes) -> None:
    if not hmac.compare_digest(expected, actual):
        raise VerificationError(what, step=step, expected=expected.hex(), actual=actual.hex())


def _td_fields(body: TDReport) -> Sequence[tuple[str, slice, bytes]]:
    """Fields that a TD report (1024 bytes) and a quote's body share: name, place, value."""
    number = int.to_bytes
    return (
        ("REPORTDATA", slice(128, 192), body.report_data),
        ("TEE_TCB_SVN", slice(264, 280), body.tee_tcb_svn),
        ("MRSEAM", slice(280, 328), body.mrseam),
        ("MRSIGNERSEAM", slice(328, 376), body.mrsignerseam),
        ("SEAMATTRIBUTES", slice(376, 384), number(body.seam_attributes, 8, "little")),
        ("TDATTRIBUTES", slice(512, 520), number(int(body.td_attributes), 8, "little")),
        ("XFAM", slice(520, 528), number(body.xfam, 8, "little")),
        ("MRTD", slice(528, 576), body.mrtd),
        ("MRCONFIGID", slice(576, 624), body.mr_config_id),
        ("MROWNER", slice(624, 672), body.mr_owner),
        ("MROWNERCONFIG", slice(672, 720), body.mr_owner_config),
        ("RTMR0", slice(720, 768), body.rtmr0),
        ("RTMR1", slice(768, 816), body.rtmr1),
        ("RTMR2", slice(816, 864), body.rtmr2),
        ("RTMR3", slice(864, 912), body.rtmr3),
    )
