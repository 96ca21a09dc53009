# SPDX-License-Identifier: MIT
"""TDX metadata of a firmware image: which pages the TDX module is told to add and extend.

Reference: Intel TDX Virtual Firmware Design Guide, section 11; specs/image.md section 3.2.
"""

import struct
import uuid
from dataclasses import dataclass
from typing import Final

from buildernet.measure.errors import FirmwareError

MAX_FIRMWARE_BYTES: Final = 64 << 20
"""OVMF has 2 or 4 MiB; Google's 2 MiB."""

MAX_SECTIONS: Final = 32
"""Known builds have 6."""

MAX_SECTION_MEMORY_BYTES: Final = 1 << 30
"""Each 4 KiB page costs a hash update; a larger section is an attack on the reader."""

PAGE_BYTES: Final = 4096
ATTRIBUTE_EXTEND: Final = 1
ATTRIBUTE_PAGE_AUG: Final = 2

_FOOTER_GUID: Final = uuid.UUID("96b582de-1fb2-45f7-baea-a366c55a082d")
_METADATA_GUID: Final = uuid.UUID("e47a6535-984a-4798-865e-4685a7bf8ec2")
_FOOTER_END: Final = 32
"""The table's last GUID ends this far before the end of the image."""

_TABLE_ENTRY: Final = struct.Struct("<H16s")
_DESCRIPTOR: Final = struct.Struct("<4sIII")
_SECTION: Final = struct.Struct("<IIQQII")


@dataclass(frozen=True, slots=True)
class TDVFSection:
    """One range of guest memory."""

    data_offset: int
    raw_bytes: int
    address: int
    memory_bytes: int
    type: int
    attributes: int


def parse_tdvf(firmware: memoryview) -> tuple[TDVFSection, ...]:
    """Find and parse the metadata.

    Raises:
        FirmwareError: no TDX metadata, damaged, or over a limit.
    """
    if len(firmware) > MAX_FIRMWARE_BYTES:
        raise FirmwareError(f"firmware has {len(firmware)} bytes, limit {MAX_FIRMWARE_BYTES}")
    descriptor = _find_descriptor(firmware)
    if not 0 <= descriptor <= len(firmware) - _DESCRIPTOR.size:
        raise FirmwareError("the TDX metadata offset points outside the firmware")
    signature, _, version, count = _DESCRIPTOR.unpack_from(firmware, descriptor)
    if signature != b"TDVF" or version != 1:
        raise FirmwareError(f"unknown TDX metadata {signature!r} version {version}")
    if not 0 < count <= MAX_SECTIONS:
        raise FirmwareError(f"TDX metadata has {count} sections, 1 to {MAX_SECTIONS} are legal")
    start = descriptor + _DESCRIPTOR.size
    if start + count * _SECTION.size > len(firmware):
        raise FirmwareError("firmware ends inside the TDX metadata")
    sections = tuple(
        TDVFSection(*_SECTION.unpack_from(firmware, start + position * _SECTION.size))
        for position in range(count)
    )
    for section in sections:
        _check(section, len(firmware))
    return sections


def _find_descriptor(firmware: memoryview) -> int:
    """Walk the GUIDed table backwards from the footer to the metadata entry."""
    end = len(firmware) - _FOOTER_END
    missing = FirmwareError(
        "the firmware has no TDX metadata",
        hint="measure the combined image (OVMF.fd), not CODE or VARS alone",
    )
    if end < _TABLE_ENTRY.size:
        raise missing
    position = end - _TABLE_ENTRY.size
    table_bytes, guid = _TABLE_ENTRY.unpack_from(firmware, position)
    if uuid.UUID(bytes_le=guid) != _FOOTER_GUID or table_bytes > end:
        raise missing
    first = end - table_bytes
    while position - _TABLE_ENTRY.size >= first:
        size, guid = _TABLE_ENTRY.unpack_from(firmware, position - _TABLE_ENTRY.size)
        if size < _TABLE_ENTRY.size or position - size < first:
            raise FirmwareError("the firmware's GUIDed table is damaged")
        if uuid.UUID(bytes_le=guid) == _METADATA_GUID:
            if size != _TABLE_ENTRY.size + 4:
                raise FirmwareError("the TDX metadata entry has the wrong size")
            (from_end,) = struct.unpack_from("<I", firmware, position - size)
            return len(firmware) - int(from_end)
        position -= size
    raise missing


def _check(section: TDVFSection, firmware_bytes: int) -> None:
    if section.address % PAGE_BYTES or section.memory_bytes % PAGE_BYTES:
        raise FirmwareError("a TDX section is not aligned to pages")
    if section.address + section.memory_bytes >= 1 << 52:
        raise FirmwareError("a TDX section lies beyond physical memory")
    if section.memory_bytes > MAX_SECTION_MEMORY_BYTES:
        raise FirmwareError(f"a TDX section of {section.memory_bytes} bytes is over the limit")
    if section.data_offset + section.raw_bytes > firmware_bytes:
        raise FirmwareError("a TDX section's data lies outside the firmware")
    if section.attributes & ATTRIBUTE_EXTEND and section.raw_bytes < section.memory_bytes:
        raise FirmwareError("a measured TDX section has less data than memory")
