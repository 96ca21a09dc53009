# SPDX-License-Identifier: MIT
"""Measurement policy: which images a verifier takes.

A policy is a list of records; evidence passes if it fits one record whole. A register that a record
does not name is not compared, therefore a record must name at least one.
"""

import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from buildernet.attestation.errors import MeasurementMismatchError, PolicyError, VerificationError
from buildernet.attestation.registers import PCRS, Bank, Digest, Register

MEASUREMENT_STEP: Final = "L"


class Platform(StrEnum):
    """Where the registers of a record live."""

    DCAP_TDX = "dcap-tdx"
    """MRTD and RTMRs of a TDX quote (sha384)."""
    AZURE_TDX = "azure-tdx"
    """PCRs of the vTPM of an Azure confidential VM (sha256)."""

    @property
    def bank(self) -> Bank:
        """The hash algorithm of the registers."""
        return Bank.SHA384 if self is Platform.DCAP_TDX else Bank.SHA256


IMAGE_REGISTERS: Final[Mapping[Platform, tuple[Register, ...]]] = MappingProxyType(
    {
        Platform.DCAP_TDX: (Register.MRTD, Register.RTMR1, Register.RTMR2),
        Platform.AZURE_TDX: (PCRS[4], PCRS[9], PCRS[11]),
    }
)
"""What firmware and image decide alone; other registers depend on the size of the machine too."""


@dataclass(frozen=True, slots=True)
class MeasurementRecord:
    """One image on one platform."""

    measurement_id: str
    platform: Platform
    expected: Mapping[Register, tuple[Digest, ...]]
    """Register and its legal values; empty only in a policy that was made to accept anything."""


@dataclass(frozen=True, slots=True)
class MeasurementMatch:
    """The record that fits, and what was compared."""

    record: MeasurementRecord
    compared: tuple[Register, ...]


@dataclass(frozen=True, slots=True)
class _Difference:
    register: Register
    expected: tuple[Digest, ...]
    actual: Digest | None


@dataclass(frozen=True, slots=True)
class MeasurementPolicy:
    """Records, of which evidence must fit one.

    Raises:
        PolicyError: no records, or one that accepts anything without `unsafe_accept_anything`.
    """

    records: tuple[MeasurementRecord, ...]
    unsafe_accept_anything: bool = False
    """Take records that name no register: any image passes that the hardware vouches for."""

    def __post_init__(self) -> None:
        if not self.records:
            raise PolicyError("the measurement policy has no record: nothing could pass")
        for record in self.records:
            if not record.expected and not self.unsafe_accept_anything:
                raise PolicyError(
                    f"record {record.measurement_id!r} names no register: it would accept anything",
                    hint="name registers; only tests have a reason for unsafe_accept_anything",
                )

    def match(self, platform: Platform, actual: Mapping[Register, Digest]) -> MeasurementMatch:
        """Find the record that the registers fit.

        Args:
            platform: where the registers come from.
            actual: authentic values; a register that is missing fits no record that names it.

        Raises:
            MeasurementMismatchError: none fits. Names the first difference from the nearest record.
            VerificationError: the policy has no record for this platform.
        """
        nearest: tuple[int, _Difference] | None = None
        for record in self.records:
            if record.platform is not platform:
                continue
            differences = list(_differences(record, actual))
            if not differences:
                return MeasurementMatch(record=record, compared=tuple(record.expected))
            if nearest is None or len(differences) < nearest[0]:
                nearest = (len(differences), differences[0])
        if nearest is None:
            raise VerificationError(
                "platform",
                step=MEASUREMENT_STEP,
                expected=" or ".join(sorted({record.platform for record in self.records})),
                actual=platform,
            )
        difference = nearest[1]
        raise MeasurementMismatchError(
            difference.register,
            step=MEASUREMENT_STEP,
            expected=" or ".join(value.hex() for value in difference.expected),
            actual="no value" if difference.actual is None else difference.actual.hex(),
        )


def _differences(
    record: MeasurementRecord, actual: Mapping[Register, Digest]
) -> Iterable[_Difference]:
    for register, legal in record.expected.items():
        value = actual.get(register)
        if value is None or not any(hmac.compare_digest(value, choice) for choice in legal):
            yield _Difference(register, legal, value)
