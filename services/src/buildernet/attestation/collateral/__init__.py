# SPDX-License-Identifier: MIT
"""Collateral of Intel's provisioning certification service: formats, fetching, caching."""

from buildernet.attestation.collateral.collateral import Collateral

__all__ = ["Collateral"]
