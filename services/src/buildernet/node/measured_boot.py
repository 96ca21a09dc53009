# SPDX-License-Identifier: MIT
"""Keep what the firmware measured where services can read it, and print it on the console.

Runs once per boot as root; the kernel shows the event log to root only. The files it leaves are
world-readable: measurements are public, and whoever doubts them asks the TPM for a quote.
"""

import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, TextIO

from buildernet.base.bounded_file import read_file, replace_file
from buildernet.base.paths import (
    CCEL,
    MAX_EVENT_LOG_BYTES,
    MEASURED_BOOT_DIR,
    REGISTERS,
    TPM_EVENT_LOG,
)
from buildernet.node.errors import MeasuredBootError
from buildernet.node.registers import Registers, read_registers

FORMAT: Final = "buildernet-registers/1"
_MODE: Final = 0o444


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the kernel shows measurements."""

    tpm_event_log: Path
    ccel: Path
    tpm: Path
    tdx: Path

    @classmethod
    def below(cls, sysfs: Path) -> "Sources":
        """Return the paths below a sysfs, normally /sys."""
        return cls(
            tpm_event_log=sysfs / "kernel/security/tpm0/binary_bios_measurements",
            ccel=sysfs / "firmware/acpi/tables/data/CCEL",
            tpm=sysfs / "class/tpm/tpm0",
            tdx=sysfs / "class/misc/tdx_guest/measurements",
        )


def collect(sources: Sources, *, out: Path = MEASURED_BOOT_DIR, console: TextIO) -> None:
    """Copy logs and registers into a folder and print every register.

    A machine without a TPM is no failure: the missing parts are named in `registers.json` and on
    the console.

    Args:
        sources: Where to read.
        out: Folder to write; made when missing.
        console: Takes the lines `measured-boot: …`.

    Raises:
        MeasuredBootError: Something is there and cannot be read, is too large, or cannot be kept.
    """
    registers = read_registers(tpm=sources.tpm, tdx=sources.tdx)
    notes = []
    if not registers.pcrs:
        notes.append(f"no TPM: {sources.tpm} has no pcr-sha256 or pcr-sha384")
    if not registers.tdx:
        notes.append(f"no TDX registers: {sources.tdx} is not there")
    for source, name in ((sources.tpm_event_log, TPM_EVENT_LOG), (sources.ccel, CCEL)):
        if source.exists():
            _keep(out / name, _read_log(source))
        else:
            notes.append(f"no {name}: {source} is not there")
    _keep(out / REGISTERS, _as_json(registers, notes))
    for line in (*registers.lines(), *(f"note: {note}" for note in notes)):
        console.write(f"measured-boot: {line}\n")


def _as_json(registers: Registers, notes: list[str]) -> bytes:
    document = {
        "format": FORMAT,
        "pcrs": {
            bank: {str(number): value for number, value in values.items()}
            for bank, values in registers.pcrs.items()
        },
        "tdx": registers.tdx,
        "notes": notes,
    }
    return json.dumps(document, indent=2).encode() + b"\n"


def _read_log(path: Path) -> bytes:
    error = partial(MeasuredBootError, hint="only root may read the event log")
    return read_file(path, limit=MAX_EVENT_LOG_BYTES, error=error)


def _keep(path: Path, content: bytes) -> None:
    """Write a read-only file whole or not at all."""
    try:
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    except OSError as exc:
        raise MeasuredBootError(f"cannot write {path}: {exc.strerror}") from exc
    replace_file(path, content, mode=_MODE, error=MeasuredBootError)
