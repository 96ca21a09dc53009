# SPDX-License-Identifier: MIT
"""TCG2 crypto-agile event logs: the TPM's binary_bios_measurements and TDX's CCEL data.

A log is a claim, not evidence: event data is unauthenticated, only digests that replay to a
register's quoted value mean anything. This module parses; `replay` folds.

Reference:
    TCG PC Client Platform Firmware Profile 1.05, section 10; UEFI 2.10, 38.4 (CCEL);
    specs/attestation.md section 3.4.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from buildernet.attestation.errors import EventLogError
from buildernet.attestation.registers import PCR_COUNT, Bank, Digest, digest_of

MAX_LOG_BYTES: Final = 1 << 20
"""CCEL areas have 64 KiB (QEMU) or 256 KiB (Google), a TPM log about 10 KiB."""

MAX_EVENTS: Final = 4096
"""A busy shim and GRUB boot logs about 300 events."""

MAX_ALGORITHMS: Final = 8
"""The TCG registry has fewer hash algorithms in use."""

SPEC_ID_SIGNATURE: Final = b"Spec ID Event03\0"
STARTUP_LOCALITY_SIGNATURE: Final = b"StartupLocality\0"
CC_MAX_INDEX: Final = 4
"""Measurement register index of RTMR3."""

_LEGACY_HEADER: Final = struct.Struct("<II20sI")
_SPEC_ID: Final = struct.Struct("<16sIBBBBI")
_EVENT_HEADER: Final = struct.Struct("<III")
_U16: Final = struct.Struct("<H")
_U32: Final = struct.Struct("<I")
_ALGORITHM: Final = struct.Struct("<HH")

_BANK_OF_ID: Final = {0x4: Bank.SHA1, 0xB: Bank.SHA256, 0xC: Bank.SHA384, 0xD: Bank.SHA512}

EV_NO_ACTION: Final = 0x00000003
EV_SEPARATOR: Final = 0x00000004
EV_EVENT_TAG: Final = 0x00000006
EV_S_CRTM_VERSION: Final = 0x00000008
EV_PLATFORM_CONFIG_FLAGS: Final = 0x0000000A
EV_IPL: Final = 0x0000000D
EV_EFI_VARIABLE_DRIVER_CONFIG: Final = 0x80000001
EV_EFI_VARIABLE_BOOT: Final = 0x80000002
EV_EFI_BOOT_SERVICES_APPLICATION: Final = 0x80000003
EV_EFI_BOOT_SERVICES_DRIVER: Final = 0x80000004
EV_EFI_GPT_EVENT: Final = 0x80000006
EV_EFI_ACTION: Final = 0x80000007
EV_EFI_PLATFORM_FIRMWARE_BLOB: Final = 0x80000008
EV_EFI_HANDOFF_TABLES: Final = 0x80000009
EV_EFI_PLATFORM_FIRMWARE_BLOB2: Final = 0x8000000A
EV_EFI_HANDOFF_TABLES2: Final = 0x8000000B

EVENT_TYPE_NAMES: Final[Mapping[int, str]] = MappingProxyType(
    {
        0x00000000: "EV_PREBOOT_CERT",
        0x00000001: "EV_POST_CODE",
        EV_NO_ACTION: "EV_NO_ACTION",
        EV_SEPARATOR: "EV_SEPARATOR",
        0x00000005: "EV_ACTION",
        EV_EVENT_TAG: "EV_EVENT_TAG",
        0x00000007: "EV_S_CRTM_CONTENTS",
        EV_S_CRTM_VERSION: "EV_S_CRTM_VERSION",
        0x00000009: "EV_CPU_MICROCODE",
        EV_PLATFORM_CONFIG_FLAGS: "EV_PLATFORM_CONFIG_FLAGS",
        0x0000000B: "EV_TABLE_OF_DEVICES",
        0x0000000C: "EV_COMPACT_HASH",
        EV_IPL: "EV_IPL",
        0x0000000E: "EV_IPL_PARTITION_DATA",
        0x0000000F: "EV_NONHOST_CODE",
        0x00000010: "EV_NONHOST_CONFIG",
        0x00000011: "EV_NONHOST_INFO",
        0x00000012: "EV_OMIT_BOOT_DEVICE_EVENTS",
        EV_EFI_VARIABLE_DRIVER_CONFIG: "EV_EFI_VARIABLE_DRIVER_CONFIG",
        EV_EFI_VARIABLE_BOOT: "EV_EFI_VARIABLE_BOOT",
        EV_EFI_BOOT_SERVICES_APPLICATION: "EV_EFI_BOOT_SERVICES_APPLICATION",
        EV_EFI_BOOT_SERVICES_DRIVER: "EV_EFI_BOOT_SERVICES_DRIVER",
        0x80000005: "EV_EFI_RUNTIME_SERVICES_DRIVER",
        EV_EFI_GPT_EVENT: "EV_EFI_GPT_EVENT",
        EV_EFI_ACTION: "EV_EFI_ACTION",
        EV_EFI_PLATFORM_FIRMWARE_BLOB: "EV_EFI_PLATFORM_FIRMWARE_BLOB",
        EV_EFI_HANDOFF_TABLES: "EV_EFI_HANDOFF_TABLES",
        EV_EFI_PLATFORM_FIRMWARE_BLOB2: "EV_EFI_PLATFORM_FIRMWARE_BLOB2",
        EV_EFI_HANDOFF_TABLES2: "EV_EFI_HANDOFF_TABLES2",
        0x8000000C: "EV_EFI_VARIABLE_BOOT2",
        0x80000010: "EV_EFI_HCRTM_EVENT",
        0x800000E0: "EV_EFI_VARIABLE_AUTHORITY",
        0x800000E1: "EV_EFI_SPDM_FIRMWARE_BLOB",
        0x800000E2: "EV_EFI_SPDM_FIRMWARE_CONFIG",
    }
)


class LogKind(StrEnum):
    """Which registers the index of an event means."""

    TPM = "tpm"
    CC = "cc"


@dataclass(frozen=True, slots=True)
class Event:
    """One event that was, or (EV_NO_ACTION) was not, extended."""

    number: int
    """Position in the log; 0 is the Spec ID event."""
    index: int
    """PCR number, or in a CC log the measurement register index (1 is RTMR0)."""
    type: int
    digests: Mapping[Bank, Digest]
    data: bytes

    @property
    def type_name(self) -> str:
        """TCG name, or the number in hexadecimal."""
        return EVENT_TYPE_NAMES.get(self.type, f"0x{self.type:08x}")

    @property
    def is_extended(self) -> bool:
        """EV_NO_ACTION informs and extends nothing."""
        return self.type != EV_NO_ACTION


@dataclass(frozen=True, slots=True)
class EventLog:
    """A parsed log."""

    kind: LogKind
    banks: tuple[Bank, ...]
    events: tuple[Event, ...]
    startup_locality: int
    """0 to 4; where PCR 0 starts."""


class _Reader:
    """Bounded reads that name what was missing."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.offset = 0

    def take(self, count: int, what: str) -> bytes:
        if count > len(self._data) - self.offset:
            raise EventLogError(
                f"event log ends inside {what} at byte {self.offset}",
                hint="the file is cut short; copy the log again",
            )
        start, self.offset = self.offset, self.offset + count
        return self._data[start : self.offset]

    def unpack(self, layout: struct.Struct, what: str) -> tuple[int, ...]:
        return layout.unpack(self.take(layout.size, what))

    def at_end(self) -> bool:
        """True at the end of the bytes or at the padding after the last event."""
        rest = self._data[self.offset : self.offset + _EVENT_HEADER.size]
        return not rest.strip(b"\0") or rest[:4] == b"\xff\xff\xff\xff"


def parse_event_log(data: bytes, *, kind: LogKind | None = None) -> EventLog:
    """Parse a whole log.

    Padding ends the log: a header of zeros, or index 0xffffffff (CCEL areas are allocated larger
    than the log). An area is never resumed after padding.

    Args:
        data: at most `MAX_LOG_BYTES`.
        kind: what the index of an event means; None guesses: a log with the sha384 bank alone and
            no index outside 1..4 is a CC log (a TPM log always has PCR 0 and PCR 7).

    Raises:
        EventLogError: not a crypto-agile log, cut short, or over a limit.
    """
    if len(data) > MAX_LOG_BYTES:
        raise EventLogError(f"event log has {len(data)} bytes, the limit is {MAX_LOG_BYTES}")
    reader = _Reader(data)
    banks, spec_event = _parse_spec_id(reader)
    events = [spec_event]
    while not reader.at_end():
        if len(events) >= MAX_EVENTS:
            raise EventLogError(f"event log has more than {MAX_EVENTS} events")
        events.append(_parse_event(reader, banks, len(events)))
    if kind is None:
        kind = _guess_kind(banks, events)
    _check_indexes(kind, events)
    return EventLog(
        kind=kind,
        banks=tuple(banks.values()),
        events=tuple(events),
        startup_locality=_startup_locality(events),
    )


def _parse_spec_id(reader: _Reader) -> tuple[dict[int, Bank], Event]:
    """Parse the first event, which is in the TCG 1.2 layout and lists the algorithms."""
    hint = "expected binary_bios_measurements of a TPM 2.0 or /sys/firmware/acpi/tables/data/CCEL"
    header = reader.take(_LEGACY_HEADER.size, "the first event")
    index, event_type, _, size = _LEGACY_HEADER.unpack(header)
    if event_type != EV_NO_ACTION or size < _SPEC_ID.size:
        raise EventLogError("not a TCG2 event log: the first event is no Spec ID event", hint=hint)
    data = reader.take(size, "the Spec ID event")
    signature, *_, count = _SPEC_ID.unpack_from(data)
    if signature != SPEC_ID_SIGNATURE:
        raise EventLogError("not a crypto-agile (TPM 2.0) event log: wrong signature", hint=hint)
    if not 1 <= count <= MAX_ALGORITHMS or len(data) < _SPEC_ID.size + 4 * count:
        raise EventLogError(
            f"Spec ID event lists {count} algorithms; 1 to {MAX_ALGORITHMS} are legal"
        )
    banks: dict[int, Bank] = {}
    for position in range(count):
        algorithm, digest_bytes = _ALGORITHM.unpack_from(data, _SPEC_ID.size + 4 * position)
        bank = _BANK_OF_ID.get(algorithm)
        if bank is None or bank.digest_bytes != digest_bytes:
            raise EventLogError(f"unknown hash algorithm 0x{algorithm:x} of {digest_bytes} bytes")
        banks[algorithm] = bank
    return banks, Event(number=0, index=index, type=event_type, digests={}, data=data)


def _parse_event(reader: _Reader, banks: Mapping[int, Bank], number: int) -> Event:
    what = f"event {number}"
    index, event_type, count = reader.unpack(_EVENT_HEADER, what)
    if count > len(banks):
        raise EventLogError(f"{what} has {count} digests, the log has {len(banks)} banks")
    digests: dict[Bank, Digest] = {}
    for _ in range(count):
        (algorithm,) = reader.unpack(_U16, what)
        bank = banks.get(algorithm)
        if bank is None or bank in digests:
            raise EventLogError(f"{what} has a digest of algorithm 0x{algorithm:x} out of place")
        digests[bank] = digest_of(bank, reader.take(bank.digest_bytes, what))
    (size,) = reader.unpack(_U32, what)
    return Event(
        number=number,
        index=index,
        type=event_type,
        digests=MappingProxyType(digests),
        data=reader.take(size, f"the data of {what}"),
    )


def _guess_kind(banks: Mapping[int, Bank], events: list[Event]) -> LogKind:
    extended = [event.index for event in events if event.is_extended]
    only_rtmrs = all(1 <= index <= CC_MAX_INDEX for index in extended)
    return LogKind.CC if only_rtmrs and set(banks.values()) == {Bank.SHA384} else LogKind.TPM


def _check_indexes(kind: LogKind, events: list[Event]) -> None:
    legal = range(1, CC_MAX_INDEX + 1) if kind is LogKind.CC else range(PCR_COUNT)
    for event in events:
        if event.is_extended and event.index not in legal:
            raise EventLogError(f"event {event.number} extends register {event.index}: no such one")


def _startup_locality(events: list[Event]) -> int:
    for event in events:
        data = event.data
        if event.type == EV_NO_ACTION and data.startswith(STARTUP_LOCALITY_SIGNATURE):
            if len(data) != len(STARTUP_LOCALITY_SIGNATURE) + 1 or data[-1] > 4:
                raise EventLogError(f"event {event.number} states an impossible startup locality")
            return data[-1]
    return 0
