# SPDX-License-Identifier: MIT
"""Measurement policies: what is published about images, and whether evidence fits it."""

from buildernet.attestation.policy.documents import parse_measurement_policy
from buildernet.attestation.policy.measurements import (
    MeasurementMatch,
    MeasurementPolicy,
    MeasurementRecord,
    Platform,
)

__all__ = [
    "MeasurementMatch",
    "MeasurementPolicy",
    "MeasurementRecord",
    "Platform",
    "parse_measurement_policy",
]
