# SPDX-License-Identifier: MIT
"""Measurement policies: what is published about images, and whether evidence fits it."""

from buildernet.attestation.policy.documents import parse_measurement_policy
from buildernet.attestation.policy.measurements import (
    MeasurementMatch,
    MeasurementPolicy,
    MeasurementRecord,
    Platform,
)
from buildernet.attestation.policy.measurements_file import (
    MeasurementsFile,
    encode_own_measurements,
)

__all__ = [
    "MeasurementMatch",
    "MeasurementPolicy",
    "MeasurementRecord",
    "MeasurementsFile",
    "Platform",
    "encode_own_measurements",
    "parse_measurement_policy",
]
