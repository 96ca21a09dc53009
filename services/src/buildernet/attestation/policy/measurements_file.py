# SPDX-License-Identifier: MIT
"""Measurements in a file that may appear late and be replaced; and those of this machine as one."""

import json
import logging
from collections.abc import Mapping
from pathlib import Path

from buildernet.attestation.errors import PolicyError
from buildernet.attestation.policy.documents import MAX_POLICY_BYTES, parse_measurement_policy
from buildernet.attestation.policy.measurements import (
    IMAGE_REGISTERS,
    MeasurementPolicy,
    Platform,
)
from buildernet.attestation.registers import Digest, Register
from buildernet.base.bounded_file import read_file

_log = logging.getLogger(__name__)


class MeasurementsFile:
    """The images that are taken."""

    def __init__(self, path: Path) -> None:
        """Read nothing yet."""
        self._path = path
        self._stamp: tuple[int, int] | None = None
        self._policy: MeasurementPolicy | None = None

    def read(self) -> MeasurementPolicy:
        """Return the policy; the same object as long as the file is the same.

        Raises:
            PolicyError: It is not there, or is not such a document.
        """
        try:
            status = self._path.stat()
        except OSError as exc:
            raise PolicyError(f"measurements: cannot read {self._path}: {exc.strerror}") from exc
        stamp = status.st_ino, status.st_mtime_ns
        if self._policy is None or stamp != self._stamp:
            self._policy = None
            data = read_file(self._path, limit=MAX_POLICY_BYTES, error=PolicyError)
            self._policy, self._stamp = parse_measurement_policy(data), stamp
            _log.info("measurements_read path=%s records=%d", self._path, len(self._policy.records))
        return self._policy


def encode_own_measurements(platform: Platform, registers: Mapping[Register, Digest]) -> bytes:
    """Return a document that takes machines with our firmware and image, and nothing else.

    Args:
        platform: Ours.
        registers: From evidence about this machine.
    """
    expected = {
        register.value: {"expected": registers[register].hex()}
        for register in IMAGE_REGISTERS[platform]
    }
    record = {
        "measurement_id": "own",
        "attestation_type": platform.value,
        "measurements": expected,
    }
    return json.dumps([record], indent=1).encode() + b"\n"
