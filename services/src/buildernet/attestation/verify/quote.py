# SPDX-License-Identifier: MIT
"""Verification of a TDX quote: steps A to L in order."""

from buildernet.attestation.collateral import Collateral
from buildernet.attestation.policy import MeasurementPolicy
from buildernet.attestation.verify.anchors import INTEL, TrustAnchors
from buildernet.attestation.verify.result import VerifiedQuote
from buildernet.attestation.verify.status import UP_TO_DATE_ONLY, TCBPolicy
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
        CollateralError: collateral is damaged.
        VerificationError: a later step failed; it names the step and the difference.
    """
    raise NotImplementedError
