# SPDX-License-Identifier: MIT
"""What stands on a boot medium: the UKI, and the partition table that is measured beside it."""

from dataclasses import dataclass
from typing import Final

from buildernet.measure.errors import DiskError
from buildernet.measure.fat import read_fat_file
from buildernet.measure.gpt import ESP_TYPE, SECTOR_BYTES, build_gpt_event, parse_gpt_event

BOOT_FILE: Final = "EFI/BOOT/BOOTX64.EFI"
"""What firmware boots from a disk without a boot entry (UEFI 2.10, section 3.5.1.1)."""


@dataclass(frozen=True, slots=True)
class BootMedium:
    """An image file taken apart."""

    uki: memoryview
    gpt_event: bytes | None
    """Data of the GPT event; None when the file is a UKI or a file system without partitions."""


def open_medium(view: memoryview) -> BootMedium:
    """Find the UKI in a raw GPT disk, in a bare FAT file system, or as the file itself.

    Raises:
        DiskError: none of the three, no single ESP, or no boot file in it.
    """
    if bytes(view[:2]) == b"MZ":
        return BootMedium(uki=view, gpt_event=None)
    if bytes(view[SECTOR_BYTES : SECTOR_BYTES + 8]) != b"EFI PART":
        if bytes(view[510:512]) == b"\x55\xaa" and bytes(view[:1]) in (b"\xeb", b"\xe9"):
            return BootMedium(uki=read_fat_file(view, BOOT_FILE), gpt_event=None)
        raise DiskError(
            "neither a UKI nor a raw GPT disk",
            hint="convert qcow2, vhd or compressed images to raw first",
        )
    event = build_gpt_event(view)
    esps = [part for part in parse_gpt_event(event).partitions if part.type_guid == ESP_TYPE]
    if len(esps) != 1:
        raise DiskError(f"the disk has {len(esps)} EFI system partitions, expected 1")
    start, end = esps[0].first_lba * SECTOR_BYTES, (esps[0].last_lba + 1) * SECTOR_BYTES
    if not 0 < start < end <= len(view):
        raise DiskError("the EFI system partition reaches beyond the end of the disk image")
    return BootMedium(uki=read_fat_file(view[start:end], BOOT_FILE), gpt_event=event)
