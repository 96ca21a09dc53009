# SPDX-License-Identifier: MIT
"""Small GPT disks and FAT file systems made in memory, for tests of the readers."""

import struct
import uuid
import zlib
from dataclasses import dataclass

SECTOR = 512
ESP_TYPE = uuid.UUID("c12a7328-f81f-11d2-ba4b-00a0c93ec93b")
LINUX_TYPE = uuid.UUID("0fc63daf-8483-4772-8e79-3d69d8477de4")
ESP_GUID = uuid.UUID("aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee")
DISK_GUID = uuid.UUID("11111111-2222-3333-4444-555555555555")
ENTRY_COUNT = 128
ENTRY_BYTES = 128
FIRST_LBA = 2048


Tree = dict[str, "bytes | Tree"]


@dataclass(frozen=True)
class Partition:
    data: bytes
    type_guid: uuid.UUID = ESP_TYPE
    guid: uuid.UUID = ESP_GUID
    name: str = "esp"


def make_gpt(*partitions: Partition, disk_guid: uuid.UUID = DISK_GUID) -> bytes:
    """A disk with a protective MBR, both GPT copies, partitions aligned to 1 MiB."""
    entries, body, lba = b"", b"", FIRST_LBA
    for part in partitions:
        sectors = -(-len(part.data) // SECTOR)
        entries += struct.pack(
            "<16s16sQQQ72s",
            part.type_guid.bytes_le,
            part.guid.bytes_le,
            lba,
            lba + sectors - 1,
            0,
            part.name.encode("utf-16le"),
        )
        aligned = -(-sectors // 2048) * 2048
        body += part.data.ljust(aligned * SECTOR, b"\0")
        lba += aligned
    entries = entries.ljust(ENTRY_COUNT * ENTRY_BYTES, b"\0")
    table_sectors = len(entries) // SECTOR
    last = lba + table_sectors
    usable = (2 + table_sectors, lba - 1)

    def header(own: int, other: int, table: int) -> bytes:
        def pack(crc: int) -> bytes:
            return struct.pack(
                "<8sIIIIQQQQ16sQIII",
                b"EFI PART",
                0x10000,
                92,
                crc,
                0,
                own,
                other,
                *usable,
                disk_guid.bytes_le,
                table,
                ENTRY_COUNT,
                ENTRY_BYTES,
                zlib.crc32(entries),
            )

        return pack(zlib.crc32(pack(0))).ljust(SECTOR, b"\0")

    mbr = bytearray(SECTOR)
    mbr[446:462] = struct.pack("<B3sB3sII", 0, b"\0\2\0", 0xEE, b"\xff\xff\xff", 1, last)
    mbr[510:] = b"\x55\xaa"
    front = bytes(mbr) + header(1, last, 2) + entries
    return front.ljust(FIRST_LBA * SECTOR, b"\0") + body + entries + header(last, 1, lba)


def make_fat(files: dict[str, bytes], *, bits: int = 16, sectors_per_cluster: int = 4) -> bytes:
    """A FAT16 or FAT32 file system holding 8.3 names; directories are made as needed.

    The number of clusters is the smallest that makes the requested FAT type legal.
    """
    cluster_bytes = sectors_per_cluster * SECTOR
    needed = sum(-(-len(data) // cluster_bytes) + 2 for data in files.values()) + 16
    clusters = max(needed, 4100 if bits == 16 else 65600)
    fat_entry = bits // 8
    fat_sectors = -(-(clusters + 2) * fat_entry // SECTOR)
    reserved = 1 if bits == 16 else 32
    root_entries = 512 if bits == 16 else 0
    root_sectors = root_entries * 32 // SECTOR
    end = (1 << bits) - 1 if bits == 16 else 0x0FFFFFFF
    fat = [0] * (clusters + 2)
    fat[0], fat[1] = end - 7, end
    area = bytearray(clusters * cluster_bytes)
    cursor = 2

    def allocate(data: bytes) -> int:
        nonlocal cursor
        count = max(1, -(-len(data) // cluster_bytes))
        first, cursor = cursor, cursor + count
        for cluster in range(first, cursor):
            fat[cluster] = cluster + 1
        fat[cursor - 1] = end
        start = (first - 2) * cluster_bytes
        area[start : start + len(data)] = data
        return first

    def entry(name: str, attribute: int, first: int, size: int) -> bytes:
        base, _, extension = name.partition(".")
        packed = (base.ljust(8) + extension.ljust(3)).encode("ascii")
        return struct.pack(
            "<11sBBBHHHHHHHI",
            packed,
            attribute,
            0,
            0,
            0,
            0,
            0,
            first >> 16,
            0,
            0,
            first & 0xFFFF,
            size,
        )

    def directory(tree: Tree) -> bytes:
        out = b""
        for name, node in sorted(tree.items()):
            if isinstance(node, dict):
                dots = entry(".", 0x10, 0, 0) + entry("..", 0x10, 0, 0)
                out += entry(name, 0x10, allocate(dots + directory(node)), 0)
            else:
                out += entry(name, 0x20, allocate(node), len(node))
        return out

    tree: Tree = {}
    for path, data in files.items():
        *parents, name = path.split("/")
        node = tree
        for parent in parents:
            child = node.setdefault(parent, {})
            assert isinstance(child, dict)
            node = child
        node[name] = data
    root_cluster = 0
    if bits == 32:
        root_cluster, cursor = cursor, cursor + 1
        fat[root_cluster] = end
    root = directory(tree)
    if bits == 32:
        start = (root_cluster - 2) * cluster_bytes
        area[start : start + len(root)] = root
        root = b""
    total = reserved + 2 * fat_sectors + root_sectors + clusters * sectors_per_cluster
    boot = struct.pack(
        "<3s8sHBHBHHBHHHII",
        b"\xeb\x3c\x90",
        b"TESTFAT ",
        SECTOR,
        sectors_per_cluster,
        reserved,
        2,
        root_entries,
        total if total < 65536 else 0,
        0xF8,
        fat_sectors if bits == 16 else 0,
        32,
        2,
        0,
        total if total >= 65536 else 0,
    )
    if bits == 32:
        boot += struct.pack(
            "<IHHIHH12xBBBI11s8s",
            fat_sectors,
            0,
            0,
            root_cluster,
            1,
            6,
            0x80,
            0,
            0x29,
            1,
            b"TEST       ",
            b"FAT32   ",
        )
    else:
        boot += struct.pack("<BBBI11s8s", 0x80, 0, 0x29, 1, b"TEST       ", b"FAT16   ")
    boot = boot.ljust(510, b"\0") + b"\x55\xaa"
    table = b"".join(value.to_bytes(fat_entry, "little") for value in fat)
    table = table.ljust(fat_sectors * SECTOR, b"\0")
    return (
        boot.ljust(reserved * SECTOR, b"\0")
        + table * 2
        + root.ljust(root_sectors * SECTOR, b"\0")
        + bytes(area)
    )
