# SPDX-License-Identifier: MIT
"""Verification of TDX quotes; needs `cryptography`, does no I/O outside `sources`."""

from buildernet.attestation.collateral.status import TCBStatus
from buildernet.attestation.verify.anchors import INTEL, TrustAnchors
from buildernet.attestation.verify.kind import platform_kind, select_collateral
from buildernet.attestation.verify.quote import verify_quote
from buildernet.attestation.verify.result import VerifiedQuote
from buildernet.attestation.verify.status import UP_TO_DATE_ONLY, TCBEvaluation, TCBPolicy
from buildernet.attestation.verify.steps import Step
from buildernet.attestation.verify.td_policy import DEFAULT_TD_POLICY, TDPolicy

__all__ = [
    "DEFAULT_TD_POLICY",
    "INTEL",
    "UP_TO_DATE_ONLY",
    "Step",
    "TCBEvaluation",
    "TCBPolicy",
    "TCBStatus",
    "TDPolicy",
    "TrustAnchors",
    "VerifiedQuote",
    "platform_kind",
    "select_collateral",
    "verify_quote",
]
