# SPDX-License-Identifier: MIT
"""Read the measurement registers the kernel shows: PCRs of a TPM, registers of a TDX guest.

Reference: Linux Documentation/ABI/stable/sysfs-class-tpm (pcr-<hash>/<n>),
Documentation/ABI/testing/sysfs-devices-virtual-misc-tdx_guest (measurements/<name>:sha384).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from buildernet.node.errors import MeasuredBootError

PCR_COUNT: Final = 24
BANKS: Final = {"sha256": 32, "sha384": 48}
"""Bank and length of its digests in bytes; sha1 proves nothing any more."""

TDX_REGISTERS: Final = (
    "mrtd",
    "rtmr0",
    "rtmr1",
    "rtmr2",
    "rtmr3",
    "mrconfigid",
    "mrowner",
    "mrownerconfig",
)
_TDX_BYTES: Final = 48
_READ_BYTES: Final = 256
"""More than any one register takes in either form."""


@dataclass(frozen=True, slots=True)
class Registers:
    """What was read; a bank or TDX register the machine does not have is absent."""

    pcrs: dict[str, dict[int, str]]
    """Bank, then PCR number, then value in lower-case hex."""
    tdx: dict[str, str]
    """Name, then value in lower-case hex."""

    def lines(self) -> Iterator[str]:
        """Yield one line per register: `pcr sha256 4 <hex>`, `rtmr1 <hex>`."""
        for bank, values in self.pcrs.items():
            for number, value in values.items():
                yield f"pcr {bank} {number} {value}"
        for name, value in self.tdx.items():
            yield f"{name} {value}"


def read_registers(*, tpm: Path, tdx: Path) -> Registers:
    """Read every register the machine has.

    Args:
        tpm: The TPM's folder in sysfs.
        tdx: The folder of the TDX guest's measurements (Linux 6.16 and later).

    Raises:
        MeasuredBootError: A register exists and cannot be read, or is no digest of its bank.
    """
    pcrs = {
        bank: {number: _read_pcr(folder / str(number), size) for number in range(PCR_COUNT)}
        for bank, size in BANKS.items()
        if (folder := tpm / f"pcr-{bank}").is_dir()
    }
    values = {
        name: _read_tdx(path)
        for name in TDX_REGISTERS
        if (path := tdx / f"{name}:sha384").exists() or (path := tdx / name).exists()
    }
    return Registers(pcrs, values)


def _read_pcr(path: Path, size: int) -> str:
    text = _read(path).strip().decode(errors="replace").lower()
    if not re.fullmatch(f"[0-9a-f]{{{2 * size}}}", text):
        raise MeasuredBootError(f"{path} holds {text[:100]!r}, not {size} bytes in hex")
    return text


def _read_tdx(path: Path) -> str:
    value = _read(path)
    if len(value) != _TDX_BYTES:
        raise MeasuredBootError(f"{path} holds {len(value)} bytes, not {_TDX_BYTES}")
    return value.hex()


def _read(path: Path) -> bytes:
    try:
        with path.open("rb", buffering=0) as file:
            return file.read(_READ_BYTES) or b""
    except OSError as exc:
        raise MeasuredBootError(f"cannot read {path}: {exc.strerror}") from exc
