# SPDX-License-Identifier: MIT
"""Verification of a TDX quote: steps A to L in order.

Signatures of certificates, revocation lists and collateral are remembered between calls, for they
do not depend on the time; times, the quote itself and the policies are checked at every call.

Reference:
    docs/protocols/tdx-verification.md; specs/attestation.md section 2.4.
"""

import hmac
from collections.abc import Iterable

from buildernet.attestation.collateral import Collateral
from buildernet.attestation.errors import VerificationError
from buildernet.attestation.policy import MeasurementMatch, MeasurementPolicy, Platform
from buildernet.attestation.quote import CertificationType, Quote, TDReport, parse_quote
from buildernet.attestation.verify.anchors import INTEL, TrustAnchors
from buildernet.attestation.verify.certificates import Window
from buildernet.attestation.verify.enclave import (
    check_identity,
    check_quote_signature,
    check_quoting_enclave,
)
from buildernet.attestation.verify.levels import evaluate
from buildernet.attestation.verify.platform import AuthenticPlatform, authenticate_platform
from buildernet.attestation.verify.result import VerifiedQuote
from buildernet.attestation.verify.signed_collateral import (
    AuthenticCollateral,
    authenticate_collateral,
)
from buildernet.attestation.verify.status import UP_TO_DATE_ONLY, TCBPolicy
from buildernet.attestation.verify.steps import Step, Trail, refusal
from buildernet.attestation.verify.td_policy import DEFAULT_TD_POLICY, TDPolicy


def verify_quote(
    quote: bytes,
    *,
    collateral: Collateral,
    at: int,
    report_data: bytes | None,
    measurements: MeasurementPolicy | None,
    roots: TrustAnchors = INTEL,
    policy: TCBPolicy = UP_TO_DATE_ONLY,
    td_policy: TDPolicy = DEFAULT_TD_POLICY,
) -> VerifiedQuote:
    """Verify a quote.

    Args:
        quote: the quote, zero padding allowed.
        collateral: for this platform.
        at: Unix time at which everything must be valid.
        report_data: 64 bytes the quote must be bound to; None leaves the binding to the caller.
        measurements: images taken; None leaves the comparison to the caller.
        roots: whom to believe; Intel alone by default.
        policy: which TCB statuses are taken; UpToDate alone by default.
        td_policy: demands on the trust domain.

    Raises:
        QuoteFormatError: step A failed.
        CertificateFormatError: a certificate or revocation list is damaged (steps B to D).
        CollateralError: signed collateral is not of a kind this verifier knows (step D).
        VerificationError: a step failed; the error names it and the difference.
    """
    trail = Trail()
    try:
        parsed = parse_quote(quote)
        _note_parsed(trail, parsed)
        platform = _check_platform(trail, parsed, collateral, roots, at)
        authentic = _check_collateral(trail, collateral, platform, at)
        check_identity(platform.extension, authentic.tcb_info)
        trail.passed(Step.PLATFORM_IDENTITY, f"FMSPC {platform.extension.fmspc.hex()}")
        enclave = check_quoting_enclave(parsed, platform, authentic.qe_identity)
        trail.passed(
            Step.QUOTING_ENCLAVE,
            f"MRSIGNER {parsed.signature.qe_report.mrsigner.hex()}",
            f"ISVSVN {parsed.signature.qe_report.isv_svn}",
        )
        check_quote_signature(parsed)
        trail.passed(Step.QUOTE_SIGNATURE, f"{len(parsed.signed)} bytes signed")
        evaluation = evaluate(
            parsed.body,
            extension=platform.extension,
            tcb_info=authentic.tcb_info,
            enclave=enclave,
            enclave_number=authentic.qe_identity.evaluation_number,
            trail=trail,
        )
        policy.check(evaluation, at=at)
        trail.passed(Step.TCB_POLICY, f"{evaluation.status} is allowed")
        match = _check_domain(trail, parsed.body, td_policy, report_data, measurements)
    except VerificationError as error:
        error.passed = trail.records
        raise
    return VerifiedQuote(
        quote=parsed,
        evaluation=evaluation,
        fmspc=platform.extension.fmspc,
        match=match,
        steps=trail.records,
    )


def _note_parsed(trail: Trail, quote: Quote) -> None:
    trail.passed(
        Step.PARSE,
        f"version {quote.header.version}, {quote.body_type.name} body, {len(quote.raw)} bytes",
    )


def _check_platform(
    trail: Trail, quote: Quote, collateral: Collateral, roots: TrustAnchors, at: int
) -> AuthenticPlatform:
    chain = collateral.pck_certificate_chain
    if chain is None:
        if quote.signature.certification_type is not CertificationType.PCK_CHAIN:
            raise refusal(
                Step.PCK_CHAIN,
                "certification data of the quote",
                CertificationType.PCK_CHAIN.name,
                quote.signature.certification_type.name,
                hint="collateral must bring the PCK chain of this platform",
            )
        chain = quote.signature.certification
    platform = authenticate_platform(chain, collateral, roots)
    trail.passed(Step.ANCHOR, platform.root.common_name)
    _check_windows(platform.windows, at)
    trail.passed(Step.PCK_CHAIN, f"issued by {platform.name}", "not revoked")
    return platform


def _check_collateral(
    trail: Trail, collateral: Collateral, platform: AuthenticPlatform, at: int
) -> AuthenticCollateral:
    authentic = authenticate_collateral(collateral, platform)
    _check_windows(authentic.windows, at)
    number = authentic.tcb_info.evaluation_number
    trail.passed(Step.SIGNED_COLLATERAL, f"TCB evaluation data number {number}")
    return authentic


def _check_windows(windows: Iterable[Window], at: int) -> None:
    for window in windows:
        window.check(at)


def _check_domain(
    trail: Trail,
    body: TDReport,
    td_policy: TDPolicy,
    report_data: bytes | None,
    measurements: MeasurementPolicy | None,
) -> MeasurementMatch | None:
    """Step L."""
    td_policy.check(body)
    details = [f"TD attributes 0x{body.td_attributes:016x}, no debugging"]
    if report_data is None:
        details.append("report data NOT compared")
    else:
        if not hmac.compare_digest(report_data, body.report_data):
            raise refusal(Step.TD_POLICY, "report data", report_data.hex(), body.report_data.hex())
        details.append("report data as expected")
    match = None
    if measurements is None:
        details.append("measurements NOT compared")
    else:
        match = measurements.match(Platform.DCAP_TDX, body.registers)
        compared = ", ".join(match.compared) or "NO REGISTER"
        details.append(f"measurements of {match.record.measurement_id!r} ({compared})")
    trail.passed(Step.TD_POLICY, *details)
    return match
