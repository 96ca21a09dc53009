# SPDX-License-Identifier: MIT
"""Addresses of accounts.

Reference: EIP-55 (the checksum in the letters' case).
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Self

from buildernet.ethereum.errors import AddressFormatError
from buildernet.ethereum.keccak import compute_keccak256

ADDRESS_BYTES: Final = 20

REMEMBERED_CHECKSUMS: Final = 4096
"""Addresses whose text is remembered: the signers of a few minutes, under 1 MiB."""

_PATTERN: Final = re.compile(r"0x[0-9a-fA-F]{40}", re.ASCII)
_FIRST_UPPER_DIGIT: Final = 8


@dataclass(frozen=True, slots=True)
class Address:
    """The 20 bytes that name an account; its text carries the EIP-55 checksum."""

    raw: bytes

    def __post_init__(self) -> None:
        if len(self.raw) != ADDRESS_BYTES:
            raise AddressFormatError(f"an address has {ADDRESS_BYTES} bytes, not {len(self.raw)}")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `0x` and 40 hexadecimal digits of any case.

        The checksum is not compared: clients send addresses in lower case, and go-utils takes every
        case too.

        Raises:
            AddressFormatError: The text is anything else.
        """
        if _PATTERN.fullmatch(text) is None:
            raise AddressFormatError(f"{text[:60]!r} is no address: 0x and 40 hexadecimal digits")
        return cls(bytes.fromhex(text[2:]))

    def __str__(self) -> str:
        return _checksum_text(self.raw)

    def hex(self) -> str:
        """Return `0x` and 40 lower-case digits, as JSON bodies carry it."""
        return "0x" + self.raw.hex()


@lru_cache(maxsize=REMEMBERED_CHECKSUMS)
def _checksum_text(raw: bytes) -> str:
    digits = raw.hex()
    case = compute_keccak256(digits.encode()).hex()
    return "0x" + "".join(
        digit.upper() if int(nibble, 16) >= _FIRST_UPPER_DIGIT else digit
        for digit, nibble in zip(digits, case, strict=False)
    )
