# SPDX-License-Identifier: MIT
"""The partition table is read strictly and stays valid after a rename."""

import struct
import uuid
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.harness.errors import LayoutError
from tests.harness.gpt import find_partition, read_partitions, rename_partition

SECTORS = 128
NAMES = ("esp", "root", "root-verity")


def make_disk() -> bytes:
    table = b"".join(
        uuid.UUID(int=i + 1).bytes_le * 2
        + struct.pack("<QQQ", 40 + i * 8, 47 + i * 8, 0)
        + name.encode("utf-16-le").ljust(72, b"\0")
        for i, name in enumerate(NAMES)
    ).ljust(128 * 128, b"\0")
    disk = bytearray(SECTORS * 512)
    for own, other, entries in ((1, SECTORS - 1, 2), (SECTORS - 1, 1, SECTORS - 33)):
        header = bytearray(
            struct.pack(
                "<8sIIIIQQQQ16sQIII",
                *(b"EFI PART", 0x10000, 92, 0, 0, own, other, 34, SECTORS - 34),
                *(bytes(16), entries, 128, 128, zlib.crc32(table)),
            )
        )
        struct.pack_into("<I", header, 16, zlib.crc32(header))
        disk[own * 512 : own * 512 + 92] = header
        disk[entries * 512 : entries * 512 + len(table)] = table
    return bytes(disk)


@pytest.fixture
def disk(tmp_path):
    path = tmp_path / "disk.raw"
    path.write_bytes(make_disk())
    return path


def test_partitions_are_read_in_order(disk):
    partitions = read_partitions(disk)
    assert tuple(partition.name for partition in partitions) == NAMES
    assert find_partition(disk, "root").offset_bytes == 48 * 512
    assert find_partition(disk, "root").size_bytes == 8 * 512


def test_a_rename_keeps_both_tables_valid(disk):
    rename_partition(disk, "esp", "esq")
    data = disk.read_bytes()
    assert [partition.name for partition in read_partitions(disk)] == ["esq", "root", "root-verity"]
    for lba in (1, SECTORS - 1):
        header = bytearray(data[lba * 512 : lba * 512 + 92])
        recorded, entries, table_crc = (
            struct.unpack_from("<I", header, 16)[0],
            struct.unpack_from("<Q", header, 72)[0],
            struct.unpack_from("<I", header, 88)[0],
        )
        struct.pack_into("<I", header, 16, 0)
        table = data[entries * 512 : entries * 512 + 128 * 128]
        assert recorded == zlib.crc32(header)
        assert table_crc == zlib.crc32(table)
        assert "esq".encode("utf-16-le") in table


def test_an_unknown_name_is_refused(disk):
    with pytest.raises(LayoutError, match="nothing"):
        rename_partition(disk, "nothing", "x")


@given(size=st.integers(0, 512 * 2 - 1))
def test_a_truncated_table_is_refused(tmp_path_factory, size):
    path = tmp_path_factory.mktemp("disk") / "disk.raw"
    path.write_bytes(make_disk()[:size])
    with pytest.raises(LayoutError):
        read_partitions(path)
