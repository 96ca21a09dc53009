# SPDX-License-Identifier: MIT
import contextlib
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from buildernet.measure.errors import DiskError
from buildernet.measure.fat import read_fat_file
from tests.support.disk_images import SECTOR, make_fat

PATH = "EFI/BOOT/BOOTX64.EFI"
CONTENT = bytes(range(256)) * 37


@cache
def filesystem(bits: int) -> bytes:
    files = {PATH: CONTENT, "EFI/BOOT/EMPTY.TXT": b"", "LOADER/ENTRY.CON": b"x"}
    return make_fat(files, bits=bits, sectors_per_cluster=1)


@pytest.mark.parametrize("bits", [16, 32])
def test_file_is_found(bits: int) -> None:
    view = memoryview(filesystem(bits))
    assert bytes(read_fat_file(view, PATH)) == CONTENT
    assert bytes(read_fat_file(view, PATH.lower())) == CONTENT
    assert bytes(read_fat_file(view, "EFI/BOOT/EMPTY.TXT")) == b""


def fat_start(bits: int) -> int:
    return SECTOR * (1 if bits == 16 else 32)


def test_fragmented_file_is_put_together() -> None:
    """Swap the file's second and third cluster, and say so in the table."""
    image = bytearray(filesystem(16))
    start = image.index(CONTENT)
    second, third = start + SECTOR, start + 2 * SECTOR
    image[second:third], image[third : third + SECTOR] = (
        bytes(image[third : third + SECTOR]),
        bytes(image[second:third]),
    )
    first = next(
        number for number in range(2, 100) if bytes(read_cluster(image, number)) == CONTENT[:SECTOR]
    )
    for cluster, following in ((first, first + 2), (first + 2, first + 1), (first + 1, first + 3)):
        at = fat_start(16) + 2 * cluster
        image[at : at + 2] = following.to_bytes(2, "little")
    assert bytes(read_fat_file(memoryview(image), PATH)) == CONTENT


def read_cluster(image: bytearray, number: int) -> bytearray:
    fat_sectors = int.from_bytes(image[22:24], "little")
    data = (1 + 2 * fat_sectors + 32 + number - 2) * SECTOR
    return image[data : data + SECTOR]


@pytest.mark.parametrize("bits", [16, 32])
def test_chain_that_runs_in_a_circle_is_refused(bits: int) -> None:
    image = bytearray(filesystem(bits))
    for cluster in range(2, 200):
        at = fat_start(bits) + cluster * bits // 8
        image[at : at + bits // 8] = cluster.to_bytes(bits // 8, "little")
    with pytest.raises(DiskError):
        read_fat_file(memoryview(image), PATH)


@pytest.mark.parametrize("path", ["EFI/BOOT/OTHER.EFI", "EFI/BOOT", "EFI/BOOT/BOOTX64.EFI/X"])
def test_other_paths_are_refused(path: str) -> None:
    with pytest.raises(DiskError):
        read_fat_file(memoryview(filesystem(16)), path)


def test_fat12_and_other_data_are_refused() -> None:
    small = bytearray(filesystem(16))
    small[19:21] = (3000).to_bytes(2, "little")
    with pytest.raises(DiskError, match="FAT12"):
        read_fat_file(memoryview(small), PATH)
    with pytest.raises(DiskError, match="no FAT"):
        read_fat_file(memoryview(bytes(4096)), PATH)


@settings(max_examples=30)
@given(st.data())
@pytest.mark.parametrize("bits", [16, 32])
def test_damage_raises_our_error_only(bits: int, data: st.DataObject) -> None:
    image = bytearray(filesystem(bits))
    content_end = image.index(CONTENT) + 2 * SECTOR
    interesting = st.one_of(
        st.integers(0, 90), st.integers(fat_start(bits), fat_start(bits) + 300),
        st.integers(0, content_end),
    )  # fmt: skip
    for at in data.draw(st.lists(interesting, min_size=1, max_size=4)):
        image[at] = data.draw(st.integers(0, 255))
    with contextlib.suppress(DiskError):
        read_fat_file(memoryview(image), PATH)


@given(st.integers(0, 1 << 20))
def test_truncation_is_refused(length: int) -> None:
    with pytest.raises(DiskError):
        read_fat_file(memoryview(filesystem(16)[:length]), PATH)
