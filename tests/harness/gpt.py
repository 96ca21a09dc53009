# SPDX-License-Identifier: MIT
"""Reads where the partitions of a raw disk lie and renames one, with both tables' checksums right.

Written apart from `buildernet.measure.gpt` on purpose: the tests of the measurement must not make
their input with the code they test.

Reference: UEFI specification 2.10, section 5.3.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tests.harness.errors import LayoutError

if TYPE_CHECKING:
    from pathlib import Path

SECTOR: Final = 512
SIGNATURE: Final = b"EFI PART"
PRIMARY_LBA: Final = 1
HEADER: Final = struct.Struct("<8sIIIIQQQQ16sQIII")
"""Signature, revision, header size, header CRC, reserved, own LBA, other LBA, first and last usable
LBA, disk GUID, LBA of the entries, number of entries, size of one, CRC of all."""
HEADER_CRC_OFFSET: Final = 16
ENTRIES_CRC_OFFSET: Final = 88
ENTRY: Final = struct.Struct("<16s16sQQQ72s")
"""Type GUID, own GUID, first and last LBA, attributes, name in UTF-16LE."""


@dataclass(frozen=True, slots=True)
class Partition:
    """One used entry."""

    index: int
    name: str
    offset_bytes: int
    size_bytes: int


def read_partitions(disk: Path) -> list[Partition]:
    """The used entries of the primary table, in order.

    Raises:
        LayoutError: No GPT, or entries of another size than the usual 128 bytes.
    """
    with disk.open("rb") as file:
        file.seek(PRIMARY_LBA * SECTOR)
        entries_lba, count = _parse_header(file.read(SECTOR))
        file.seek(entries_lba * SECTOR)
        table = file.read(count * ENTRY.size)
    partitions = []
    for index in range(count):
        kind, _, first, last, _, name = ENTRY.unpack_from(table, index * ENTRY.size)
        if kind != bytes(16):
            text = name.decode("utf-16-le").rstrip("\0")
            partitions.append(
                Partition(index, text, first * SECTOR, (last + 1 - first) * SECTOR),
            )
    return partitions


def find_partition(disk: Path, name: str) -> Partition:
    """The partition called `name`.

    Raises:
        LayoutError: There is none, or no GPT.
    """
    for partition in read_partitions(disk):
        if partition.name == name:
            return partition
    raise LayoutError(f"{disk} has no partition {name!r}")


def rename_partition(disk: Path, name: str, new_name: str) -> None:
    """Give a partition another name in both copies of the table, as a partitioning tool would.

    Raises:
        LayoutError: No such partition, or no valid table.
    """
    index = find_partition(disk, name).index
    encoded = new_name.encode("utf-16-le").ljust(72, b"\0")
    with disk.open("r+b") as file:
        file.seek(PRIMARY_LBA * SECTOR)
        backup_lba = HEADER.unpack_from(file.read(SECTOR))[6]
        for lba in (PRIMARY_LBA, backup_lba):
            file.seek(lba * SECTOR)
            header = bytearray(file.read(SECTOR))
            entries_lba, count = _parse_header(bytes(header))
            file.seek(entries_lba * SECTOR)
            table = bytearray(file.read(count * ENTRY.size))
            start = index * ENTRY.size
            table[start + 56 : start + ENTRY.size] = encoded
            file.seek(entries_lba * SECTOR)
            file.write(table)
            struct.pack_into("<I", header, ENTRIES_CRC_OFFSET, zlib.crc32(table))
            struct.pack_into("<I", header, HEADER_CRC_OFFSET, 0)
            struct.pack_into("<I", header, HEADER_CRC_OFFSET, zlib.crc32(header[: HEADER.size]))
            file.seek(lba * SECTOR)
            file.write(header)


def _parse_header(sector: bytes) -> tuple[int, int]:
    """LBA and number of the entries."""
    if len(sector) < SECTOR or not sector.startswith(SIGNATURE):
        raise LayoutError("no GUID partition table")
    fields = HEADER.unpack_from(sector)
    entries_lba, count, entry_size = fields[10], fields[11], fields[12]
    if entry_size != ENTRY.size or fields[2] != HEADER.size or not 0 < count <= 1024:
        raise LayoutError(f"unusual partition table: {count} entries of {entry_size} bytes")
    return int(entries_lba), int(count)
