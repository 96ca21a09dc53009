# SPDX-License-Identifier: MIT
"""Collateral of Intel's provisioning certification service: formats, fetching, caching."""

from buildernet.attestation.collateral.collateral import Collateral
from buildernet.attestation.collateral.documents import encode_bundle, parse_collateral
from buildernet.attestation.collateral.status import TCBStatus

__all__ = ["Collateral", "TCBStatus", "encode_bundle", "parse_collateral"]
