# SPDX-License-Identifier: MIT
"""Verification of TDX quotes; needs `cryptography`, does no I/O."""

from buildernet.attestation.verify.anchors import INTEL, TrustAnchors
from buildernet.attestation.verify.quote import verify_quote
from buildernet.attestation.verify.result import VerifiedQuote
from buildernet.attestation.verify.status import TCBPolicy, TCBStatus
from buildernet.attestation.verify.steps import Step
from buildernet.attestation.verify.td_policy import TDPolicy

__all__ = [
    "INTEL",
    "Step",
    "TCBPolicy",
    "TCBStatus",
    "TDPolicy",
    "TrustAnchors",
    "VerifiedQuote",
    "verify_quote",
]
