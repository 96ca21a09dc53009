# SPDX-License-Identifier: MIT
"""Which platform collateral is about."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from buildernet.attestation.errors import CollateralError

FMSPC_BYTES: Final = 6


class PCKAuthority(StrEnum):
    """Which of Intel's CAs certified the platform: multi-package servers, or single processors."""

    PLATFORM = "platform"
    PROCESSOR = "processor"


@dataclass(frozen=True, slots=True)
class PlatformKind:
    """Collateral is the same for all platforms of one kind.

    Raises:
        CollateralError: `fmspc` has not 6 bytes.
    """

    fmspc: bytes
    authority: PCKAuthority

    def __post_init__(self) -> None:
        if len(self.fmspc) != FMSPC_BYTES:
            raise CollateralError(f"FMSPC has {len(self.fmspc)} bytes, not {FMSPC_BYTES}")

    def __str__(self) -> str:
        return f"{self.fmspc.hex()}-{self.authority}"
