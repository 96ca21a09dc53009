# SPDX-License-Identifier: MIT
"""GPT partition tables, and the event firmware measures for one.

Reference: UEFI 2.10, section 5.3; edk2 DxeTpm2MeasureBootLib, Tcg2MeasureGptTable.
"""

import struct
import uuid
import zlib
from dataclasses import dataclass
from typing import Final

from buildernet.measure.errors import DiskError

SECTOR_BYTES: Final = 512
"""Virtual disks on every platform of ours have 512-byte sectors."""

MAX_ENTRIES: Final = 1024
"""The usual table has 128."""

ESP_TYPE: Final = uuid.UUID("c12a7328-f81f-11d2-ba4b-00a0c93ec93b")

_HEADER: Final = struct.Struct("<8sIIIIQQQQ16sQIII")
_ENTRY: Final = struct.Struct("<16s16sQQQ72s")
_UNUSED_TYPE: Final = uuid.UUID(int=0)
_COUNT: Final = struct.Struct("<Q")


@dataclass(frozen=True, slots=True)
class Partition:
    """One used entry."""

    type_guid: uuid.UUID
    guid: uuid.UUID
    first_lba: int
    last_lba: int
    name: str


@dataclass(frozen=True, slots=True)
class PartitionTable:
    """What the GPT event holds."""

    disk_guid: uuid.UUID
    first_usable_lba: int
    last_usable_lba: int
    alternate_lba: int
    partitions: tuple[Partition, ...]


def build_gpt_event(disk: memoryview) -> bytes:
    """Return the data that is hashed into PCR 5: header, u64 count, used entries.

    Raises:
        DiskError: no GPT, or one that firmware would refuse.
    """
    header_bytes = bytes(disk[SECTOR_BYTES : SECTOR_BYTES + _HEADER.size])
    if len(header_bytes) < _HEADER.size or not header_bytes.startswith(b"EFI PART"):
        raise DiskError("no GPT header in sector 1", hint="expected a raw disk image")
    header = _HEADER.unpack(header_bytes)
    header_size, header_crc, own_lba = header[2], header[3], header[5]
    table_lba, count, entry_bytes, table_crc = header[10], header[11], header[12], header[13]
    blank = header_bytes[:16] + bytes(4) + header_bytes[20:]
    if header_size != _HEADER.size or own_lba != 1 or zlib.crc32(blank) != header_crc:
        raise DiskError("the GPT header is damaged: firmware would not use it")
    if not 0 < count <= MAX_ENTRIES or entry_bytes != _ENTRY.size:
        raise DiskError(f"the GPT has {count} entries of {entry_bytes} bytes: refused")
    start = table_lba * SECTOR_BYTES
    table = bytes(disk[start : start + count * entry_bytes])
    if len(table) != count * entry_bytes or zlib.crc32(table) != table_crc:
        raise DiskError("the GPT entries are damaged: firmware would not use them")
    entries = [table[at : at + entry_bytes] for at in range(0, len(table), entry_bytes)]
    used = [entry for entry in entries if entry[:16] != _UNUSED_TYPE.bytes]
    return header_bytes + _COUNT.pack(len(used)) + b"".join(used)


def parse_gpt_event(data: bytes) -> PartitionTable:
    """Parse the data of a GPT event, ours or a log's.

    Raises:
        DiskError: the lengths do not add up.
    """
    start = _HEADER.size + _COUNT.size
    if len(data) < start:
        raise DiskError("the GPT event is cut short")
    header = _HEADER.unpack_from(data)
    (count,) = _COUNT.unpack_from(data, _HEADER.size)
    if count > MAX_ENTRIES or len(data) != start + count * _ENTRY.size:
        raise DiskError("the GPT event's entries do not fit its length")
    entries = _ENTRY.iter_unpack(data[start:])
    return PartitionTable(
        disk_guid=uuid.UUID(bytes_le=header[9]),
        first_usable_lba=header[7],
        last_usable_lba=header[8],
        alternate_lba=header[6],
        partitions=tuple(
            Partition(
                type_guid=uuid.UUID(bytes_le=type_guid),
                guid=uuid.UUID(bytes_le=guid),
                first_lba=first,
                last_lba=last,
                name=name.decode("utf-16-le", "replace").split("\0", 1)[0],
            )
            for type_guid, guid, first, last, _, name in entries
        ),
    )
