# SPDX-License-Identifier: MIT
"""Collateral of Intel's provisioning certification service: formats, fetching, caching."""

from buildernet.attestation.collateral.collateral import Collateral
from buildernet.attestation.collateral.documents import encode_bundle, parse_collateral
from buildernet.attestation.collateral.kind import PCKAuthority, PlatformKind
from buildernet.attestation.collateral.pcs import INTEL_PCS, CollateralService, pccs
from buildernet.attestation.collateral.status import TCBStatus

__all__ = [
    "INTEL_PCS",
    "Collateral",
    "CollateralService",
    "PCKAuthority",
    "PlatformKind",
    "TCBStatus",
    "encode_bundle",
    "parse_collateral",
    "pccs",
]
