# SPDX-License-Identifier: MIT
"""Compare registers read in a guest with what its log replays to.

A log is a claim; the registers are what the TPM or the TDX module holds. (Reading them from the
guest is still the guest's word: a quote is what convinces a third party.)
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from buildernet.attestation.errors import DigestError
from buildernet.attestation.event_log import EventLog
from buildernet.attestation.registers import Bank, Digest, Digest48, Register, parse_digest
from buildernet.attestation.replay import replay
from buildernet.measure.cause_table import CAUSES, Cause
from buildernet.measure.digests import BANKS
from buildernet.measure.errors import DocumentError
from buildernet.measure.prediction import Prediction

REGISTERS_FORMAT: Final = "buildernet-registers/1"

MAX_REGISTERS_BYTES: Final = 1 << 20
"""A registers.json has about 8 KiB."""

USERSPACE_REGISTERS: Final = frozenset({Register.PCR10})
"""The kernel's IMA extends PCR 10 and keeps its own log; everything else must replay."""

LiveRegisters = Mapping[Register, Mapping[Bank, Digest]]


@dataclass(frozen=True, slots=True)
class LiveRow:
    """One register in one bank."""

    register: Register
    bank: Bank
    live: Digest
    expected: tuple[Digest, ...]
    """The value the log replays to; for MRTD every legal value of the predicted firmware."""
    cause: Cause | None
    """None when equal."""
    is_mismatch: bool
    """False also for a register userspace is allowed to extend."""


def parse_registers(text: str | bytes) -> LiveRegisters:
    """Parse the registers.json that `buildernet-node measured-boot` writes.

    Raises:
        DocumentError: another format, over the limit, or a value that is no digest.
    """
    if len(text) > MAX_REGISTERS_BYTES:
        raise DocumentError(f"registers document is larger than {MAX_REGISTERS_BYTES} bytes")
    try:
        document = json.loads(text)
        if document["format"] != REGISTERS_FORMAT:
            raise DocumentError(f"unknown format {document['format']!r}, want {REGISTERS_FORMAT}")
        values: dict[Register, dict[Bank, Digest]] = {}
        for bank_name, pcrs in document["pcrs"].items():
            bank = Bank(bank_name)
            for number, value in pcrs.items():
                values.setdefault(Register(f"pcr{number}"), {})[bank] = parse_digest(bank, value)
        for name, value in document["tdx"].items():
            if name in set(Register):
                values[Register(name)] = {Bank.SHA384: Digest48.parse(value)}
    except DigestError as exc:
        raise DocumentError(f"registers document: {exc}") from exc
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as exc:
        raise DocumentError(f"not a registers document: {exc!r}"[:300]) from exc
    return values


def compare_live(
    registers: LiveRegisters, log: EventLog, prediction: Prediction
) -> tuple[LiveRow, ...]:
    """Compare every register that is both live and in the log, and MRTD with the prediction.

    Raises:
        EventLogError: an event of the log lacks a digest.
        DocumentError: the two have no register in common.
    """
    rows = [
        _compare(register, bank, live, (replayed,))
        for bank in BANKS
        if bank in log.banks
        for register, replayed in replay(log, bank).items()
        if (live := registers.get(register, {}).get(bank)) is not None
    ]
    if not rows:
        raise DocumentError("the registers and the log have no register in common")
    mrtd = registers.get(Register.MRTD, {}).get(Bank.SHA384)
    if mrtd is not None:
        legal = prediction.values(Register.MRTD, Bank.SHA384)
        rows.append(_compare(Register.MRTD, Bank.SHA384, mrtd, legal))
    return tuple(rows)


def _compare(register: Register, bank: Bank, live: Digest, expected: tuple[Digest, ...]) -> LiveRow:
    if live in expected:
        return LiveRow(register, bank, live, expected, None, is_mismatch=False)
    if register in USERSPACE_REGISTERS:
        cause = CAUSES["register-extended-later"]
        return LiveRow(register, bank, live, expected, cause, is_mismatch=False)
    key = "mrtd-firmware" if register is Register.MRTD else "register-not-in-log"
    return LiveRow(register, bank, live, expected, CAUSES[key], is_mismatch=True)
