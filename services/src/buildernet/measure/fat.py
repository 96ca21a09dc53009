# SPDX-License-Identifier: MIT
"""A read-only FAT16/FAT32 reader, just enough to find the boot file in an ESP.

Names are matched by their 8.3 form, which every boot file has. FAT12 is refused: no ESP of 4 MiB
or more is made with it.

Reference: Microsoft "FAT32 File System Specification" 1.03.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Literal

from buildernet.measure.errors import DiskError

MAX_DIRECTORY_ENTRIES: Final = 65536
"""The format's own limit for one directory."""

FIRST_FAT16_CLUSTERS: Final = 4085
FIRST_FAT32_CLUSTERS: Final = 65525
"""The number of clusters alone decides the type."""

_BOOT: Final = struct.Struct("<11xHBHBHH1xH8xII")
_FAT32_ROOT: Final = struct.Struct("<I")
_ENTRY: Final = struct.Struct("<11sB8xH4xHI")
_ENTRY_BYTES: Final = 32
_ATTRIBUTE_DIRECTORY: Final = 0x10
_ATTRIBUTE_VOLUME: Final = 0x08
_FIRST_CLUSTER: Final = 2


@dataclass(frozen=True, slots=True)
class _FileSystem:
    view: memoryview
    cluster_bytes: int
    fat: memoryview
    entry_code: Literal["H", "I"]
    """`memoryview.cast` code of one FAT entry: H or I."""
    end_mark: int
    data_offset: int
    clusters: int
    fixed_root: memoryview | None
    root_cluster: int


def read_fat_file(view: memoryview, path: str) -> memoryview:
    """Return the content of a file; contiguous files are not copied.

    Args:
        view: the whole file system.
        path: 8.3 names with slashes, such as EFI/BOOT/BOOTX64.EFI; case does not matter.

    Raises:
        DiskError: not FAT16/FAT32, damaged, or no such file.
    """
    filesystem = _parse_boot_sector(view)
    directory: memoryview | None = filesystem.fixed_root
    if directory is None:
        directory = _read_chain(filesystem, filesystem.root_cluster, None)
    *parents, name = path.split("/")
    for parent in parents:
        attribute, cluster, _ = _find(directory, parent, path)
        if not attribute & _ATTRIBUTE_DIRECTORY:
            raise DiskError(f"{parent} of {path} is not a directory")
        directory = _read_chain(filesystem, cluster, None)
    attribute, cluster, size = _find(directory, name, path)
    if attribute & _ATTRIBUTE_DIRECTORY:
        raise DiskError(f"{path} is a directory")
    return _read_chain(filesystem, cluster, size) if size else view[:0]


def _parse_boot_sector(view: memoryview) -> _FileSystem:
    if len(view) < 512 or bytes(view[510:512]) != b"\x55\xaa":
        raise DiskError("the ESP holds no FAT file system")
    sector, per_cluster, reserved, fats, root_entries, total16, fat16, total32, fat32 = (
        _BOOT.unpack_from(view)
    )
    total, fat_sectors = total16 or total32, fat16 or fat32
    if sector not in (512, 1024, 2048, 4096) or per_cluster not in (1, 2, 4, 8, 16, 32, 64, 128):
        raise DiskError("the ESP holds no FAT file system: impossible sector or cluster size")
    root_sectors = -(-root_entries * _ENTRY_BYTES // sector)
    root_start = reserved + fats * fat_sectors
    data_start = root_start + root_sectors
    clusters = (total - data_start) // per_cluster
    if not reserved or not fats or not fat_sectors or total * sector > len(view):
        raise DiskError("the FAT file system is larger than its partition, or damaged")
    if clusters < FIRST_FAT16_CLUSTERS:
        raise DiskError("the ESP is FAT12, which is not read", hint="use FAT16 or FAT32")
    is_fat32 = clusters >= FIRST_FAT32_CLUSTERS
    if is_fat32 == bool(root_entries):
        raise DiskError("the FAT file system contradicts itself: root directory of the other type")
    entry_bytes = 4 if is_fat32 else 2
    fat_bytes = (clusters + _FIRST_CLUSTER) * entry_bytes
    if fat_bytes > fat_sectors * sector:
        raise DiskError("the file allocation table is too small for the file system")
    fat_start = reserved * sector
    return _FileSystem(
        view=view,
        cluster_bytes=per_cluster * sector,
        fat=view[fat_start : fat_start + fat_bytes],
        entry_code="I" if is_fat32 else "H",
        end_mark=0x0FFFFFF8 if is_fat32 else 0xFFF8,
        data_offset=data_start * sector,
        clusters=clusters,
        fixed_root=None if is_fat32 else view[root_start * sector : data_start * sector],
        root_cluster=_FAT32_ROOT.unpack_from(view, 44)[0] if is_fat32 else 0,
    )


def _find(directory: memoryview, name: str, path: str) -> tuple[int, int, int]:
    """Return attribute, first cluster and size of one 8.3 name."""
    base, _, extension = name.upper().partition(".")
    packed = (base.ljust(8) + extension.ljust(3)).encode("ascii")
    for offset in range(0, len(directory) - _ENTRY_BYTES + 1, _ENTRY_BYTES):
        raw, attribute, high, low, size = _ENTRY.unpack_from(directory, offset)
        if raw[0] == 0:
            break
        if raw == packed and not attribute & _ATTRIBUTE_VOLUME:
            return attribute, high << 16 | low, size
    raise DiskError(f"{path} not found in the ESP", hint="the UKI must be EFI/BOOT/BOOTX64.EFI")


def _read_chain(filesystem: _FileSystem, cluster: int, size: int | None) -> memoryview:
    """Return a chain's bytes; `size` None reads a directory to the end of its chain."""
    limit = filesystem.clusters
    if size is None:
        limit = min(limit, MAX_DIRECTORY_ENTRIES * _ENTRY_BYTES // filesystem.cluster_bytes + 1)
    chain = list(_walk(filesystem, cluster, limit))
    total = len(chain) * filesystem.cluster_bytes
    if size is not None and not total - filesystem.cluster_bytes < size <= total:
        raise DiskError("a file's size does not fit its cluster chain: damaged file system")
    if all(after == before + 1 for before, after in pairwise(chain)):
        content = _clusters(filesystem, chain[0], len(chain))
    else:
        content = memoryview(b"".join(_clusters(filesystem, number, 1) for number in chain))
    return content[:size]


def _walk(filesystem: _FileSystem, cluster: int, limit: int) -> Iterator[int]:
    entries = filesystem.fat.cast(filesystem.entry_code)
    mask = 0x0FFFFFFF
    for _ in range(limit):
        if not _FIRST_CLUSTER <= cluster < filesystem.clusters + _FIRST_CLUSTER:
            raise DiskError(f"cluster chain reaches cluster {cluster}: damaged file system")
        yield cluster
        cluster = entries[cluster] & mask
        if cluster >= filesystem.end_mark:
            return
    raise DiskError("cluster chain does not end: damaged file system")


def _clusters(filesystem: _FileSystem, first: int, count: int) -> memoryview:
    start = filesystem.data_offset + (first - _FIRST_CLUSTER) * filesystem.cluster_bytes
    return filesystem.view[start : start + count * filesystem.cluster_bytes]
