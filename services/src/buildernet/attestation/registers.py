# SPDX-License-Identifier: MIT
"""Measurement registers and digests: names, sizes, the PCR to RTMR map, and the extend rule.

Reference:
    TCG PC Client Platform Firmware Profile 1.05 (PCR use); Intel TDX virtual firmware design guide,
    section 8 (MRTD, RTMR, map from PCR); specs/image.md section 3.1.
"""

import hashlib
from enum import StrEnum
from typing import Final, Self

from buildernet.attestation.errors import DigestError

PCR_COUNT: Final = 24
"""PCRs of a PC client TPM."""

FIRST_DRTM_PCR: Final = 17
LAST_DRTM_PCR: Final = 22
"""PCR 17 to 22 start with all bits set; the others with zeros."""


class Bank(StrEnum):
    """A hash algorithm that registers are kept in."""

    SHA1 = "sha1"
    SHA256 = "sha256"
    SHA384 = "sha384"
    SHA512 = "sha512"

    @property
    def digest_bytes(self) -> int:
        """Length of a digest of this bank."""
        return _DIGEST_BYTES[self]

    def digest(self, data: bytes | memoryview) -> "Digest":
        """Hash `data` with this bank's algorithm."""
        hasher = hashlib.new(self.value, usedforsecurity=False)
        hasher.update(data)
        return digest_of(self, hasher.digest())


_DIGEST_BYTES: Final = {Bank.SHA1: 20, Bank.SHA256: 32, Bank.SHA384: 48, Bank.SHA512: 64}


class Digest(bytes):
    """Bytes known to be a digest; the subclasses fix the length."""

    size = 0

    def __new__(cls, value: bytes) -> Self:
        """Check the length.

        Raises:
            DigestError: `value` has another length.
        """
        if len(value) != cls.size:
            raise DigestError(f"{cls.__name__} needs {cls.size} bytes, got {len(value)}")
        return super().__new__(cls, value)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse strict hexadecimal text (no prefix, no blanks).

        Raises:
            DigestError: not hex, or another length.
        """
        try:
            value = bytes.fromhex(text)
        except ValueError as exc:
            raise DigestError(f"not hexadecimal: {text[:100]!r}") from exc
        if len(text) != 2 * len(value):
            raise DigestError(f"blanks inside hexadecimal: {text[:100]!r}")
        return cls(value)


class Digest20(Digest):
    """SHA-1."""

    size = 20


class Digest32(Digest):
    """SHA-256."""

    size = 32


class Digest48(Digest):
    """SHA-384: MRTD, RTMRs and the sha384 PCR bank."""

    size = 48


class Digest64(Digest):
    """SHA-512."""

    size = 64


_DIGEST_TYPE: Final[dict[Bank, type[Digest]]] = {
    Bank.SHA1: Digest20,
    Bank.SHA256: Digest32,
    Bank.SHA384: Digest48,
    Bank.SHA512: Digest64,
}


def digest_of(bank: Bank, value: bytes) -> Digest:
    """Type raw digest bytes.

    Raises:
        DigestError: the length does not fit the bank.
    """
    return _DIGEST_TYPE[bank](value)


def parse_digest(bank: Bank, text: str) -> Digest:
    """Type hexadecimal digest text.

    Raises:
        DigestError: not hex, or the length does not fit the bank.
    """
    return _DIGEST_TYPE[bank].parse(text)


class Register(StrEnum):
    """Every register this project speaks about, by the name used in published JSON."""

    MRTD = "mrtd"
    RTMR0 = "rtmr0"
    RTMR1 = "rtmr1"
    RTMR2 = "rtmr2"
    RTMR3 = "rtmr3"
    PCR0 = "pcr0"
    PCR1 = "pcr1"
    PCR2 = "pcr2"
    PCR3 = "pcr3"
    PCR4 = "pcr4"
    PCR5 = "pcr5"
    PCR6 = "pcr6"
    PCR7 = "pcr7"
    PCR8 = "pcr8"
    PCR9 = "pcr9"
    PCR10 = "pcr10"
    PCR11 = "pcr11"
    PCR12 = "pcr12"
    PCR13 = "pcr13"
    PCR14 = "pcr14"
    PCR15 = "pcr15"
    PCR16 = "pcr16"
    PCR17 = "pcr17"
    PCR18 = "pcr18"
    PCR19 = "pcr19"
    PCR20 = "pcr20"
    PCR21 = "pcr21"
    PCR22 = "pcr22"
    PCR23 = "pcr23"

    @property
    def is_pcr(self) -> bool:
        """True for a TPM register, False for a TDX one."""
        return self.value.startswith("pcr")

    @property
    def number(self) -> int:
        """PCR number, or the number TDX tools use in JSON (0 MRTD, 1 to 4 RTMR0 to RTMR3)."""
        return int(self.value[3:]) if self.is_pcr else TDX_REGISTERS.index(self)


TDX_REGISTERS: Final = (
    Register.MRTD,
    Register.RTMR0,
    Register.RTMR1,
    Register.RTMR2,
    Register.RTMR3,
)
"""In the order of the confidential computing measurement register index (UEFI 2.10, 38.4.1)."""

PCRS: Final = tuple(Register(f"pcr{number}") for number in range(PCR_COUNT))


def rtmr_of_pcr(pcr: int) -> Register:
    """Map a PCR number to the TDX register that receives the same events.

    PCR 0 maps to MRTD, which firmware cannot extend: the TDX module measured it already.

    Raises:
        ValueError: `pcr` is not in 0..15 (later PCRs have no TDX counterpart).
    """
    if pcr == 0:
        return Register.MRTD
    if pcr in (1, 7):
        return Register.RTMR0
    if 2 <= pcr <= 6:
        return Register.RTMR1
    if 8 <= pcr <= 15:
        return Register.RTMR2
    raise ValueError(f"PCR {pcr} has no TDX register")


def initial_value(register: Register, bank: Bank, *, startup_locality: int = 0) -> Digest:
    """Return what a register holds before the first extend.

    Args:
        register: any register that can be extended.
        bank: the hash algorithm.
        startup_locality: 0 to 4, from the log's StartupLocality event; moves PCR 0 only.
    """
    size = bank.digest_bytes
    if register.is_pcr and FIRST_DRTM_PCR <= register.number <= LAST_DRTM_PCR:
        return digest_of(bank, b"\xff" * size)
    if register is Register.PCR0:
        return digest_of(bank, startup_locality.to_bytes(size, "big"))
    return digest_of(bank, bytes(size))


def extend(bank: Bank, value: Digest, digest: Digest) -> Digest:
    """Apply the one rule of every register: new = H(old || digest)."""
    return bank.digest(value + digest)
