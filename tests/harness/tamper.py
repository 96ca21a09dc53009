# SPDX-License-Identifier: MIT
"""Changes single bytes of a copied image the way an attacker with the disk could.

Every change keeps sizes, so it is made in place: the UKI is found in the disk by its own bytes, and
the sections in the UKI by its PE headers. No file system is parsed or rewritten.
"""

from __future__ import annotations

import mmap
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tests.harness.errors import LayoutError

if TYPE_CHECKING:
    from pathlib import Path

CLUSTER_ALIGNMENT: Final = 512
"""A file on a FAT file system starts at a multiple of the sector size."""
PE_OFFSET_POINTER: Final = 0x3C
SECTION: Final = struct.Struct("<8sIIIIIIHHI")
"""Name, virtual size, address, raw size, raw offset, five fields unused here."""
KERNEL_VERSION_POINTER: Final = 0x20E
"""Setup header of a bzImage: offset of the version text minus 0x200 (kernel docs, x86/boot)."""


@dataclass(frozen=True, slots=True)
class Section:
    """Where one PE section's data lies in the file."""

    name: str
    header_offset: int
    offset: int
    """Of the data, in bytes from the start of the UKI."""
    virtual_size: int
    """Bytes that count; the rest up to `raw_size` is padding."""
    raw_size: int


def read_sections(uki: bytes) -> dict[str, Section]:
    """The sections of a PE file by name.

    Raises:
        LayoutError: Not a PE file.
    """
    try:
        (pe,) = struct.unpack_from("<I", uki, PE_OFFSET_POINTER)
        if uki[pe : pe + 4] != b"PE\0\0":
            raise LayoutError("not a PE file")
        (count,) = struct.unpack_from("<H", uki, pe + 6)
        (optional_size,) = struct.unpack_from("<H", uki, pe + 20)
        table = pe + 24 + optional_size
        sections = {}
        for index in range(count):
            at = table + index * SECTION.size
            name, virtual_size, _, raw_size, offset, *_ = SECTION.unpack_from(uki, at)
            text = name.rstrip(b"\0").decode("ascii")
            sections[text] = Section(text, at, offset, virtual_size, raw_size)
    except (struct.error, UnicodeDecodeError) as exc:
        raise LayoutError(f"not a PE file: {exc}") from exc
    return sections


def find_uki(disk: Path, uki: bytes) -> int:
    """Offset of the UKI in the disk, where it must lie in one piece.

    Raises:
        LayoutError: It is not there, or in pieces.
    """
    with disk.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
        position = view.find(uki)
    if position < 0 or position % CLUSTER_ALIGNMENT:
        raise LayoutError(f"{disk} does not hold the UKI in one piece")
    return position


def flip_byte(path: Path, offset: int) -> None:
    """Invert the lowest bit of one byte."""
    with path.open("r+b") as file:
        file.seek(offset)
        value = file.read(1)
        file.seek(offset)
        file.write(bytes([value[0] ^ 1]))


def change_command_line(uki: bytes) -> bytes:
    """Another console, same length; the system boots as before.

    Raises:
        LayoutError: No `.cmdline` with `console=tty0`.
    """
    section = _section(uki, ".cmdline")
    return _replace(uki, section, b"console=tty0", b"console=tty1")


def change_initrd(uki: bytes) -> bytes:
    """Four more bytes of initrd, taken from the section's padding; zeros, so it still unpacks.

    Raises:
        LayoutError: The section has no padding.
    """
    section = _section(uki, ".initrd")
    if section.raw_size - section.virtual_size < 4:
        raise LayoutError(".initrd has no padding to grow into")
    changed = bytearray(uki)
    struct.pack_into("<I", changed, section.header_offset + 8, section.virtual_size + 4)
    return bytes(changed)


def change_kernel(uki: bytes) -> bytes:
    """Another letter in the version text of the setup header, which nothing reads at boot.

    Raises:
        LayoutError: `.linux` is not a bzImage.
    """
    section = _section(uki, ".linux")
    try:
        (pointer,) = struct.unpack_from("<H", uki, section.offset + KERNEL_VERSION_POINTER)
    except struct.error as exc:
        raise LayoutError(".linux is shorter than a setup header") from exc
    offset = section.offset + 0x200 + pointer
    if not pointer or not uki[offset : offset + 1].isdigit():
        raise LayoutError(".linux has no version text")
    changed = bytearray(uki)
    changed[offset] ^= 1
    return bytes(changed)


def change_stub(uki: bytes) -> bytes:
    """Another letter in one of the stub's messages, which a good boot never prints.

    Raises:
        LayoutError: No such message in the stub's own sections.
    """
    message = "Unknown error".encode("utf-16-le")
    for name in (".rodata", ".rdata", ".data", ".text"):
        section = read_sections(uki).get(name)
        if section is not None and uki.find(message, section.offset, _end(section)) >= 0:
            return _replace(uki, section, message, "unknown error".encode("utf-16-le"))
    raise LayoutError("the stub holds no message 'Unknown error'")


def _section(uki: bytes, name: str) -> Section:
    section = read_sections(uki).get(name)
    if section is None:
        raise LayoutError(f"the UKI has no section {name}")
    return section


def _end(section: Section) -> int:
    return section.offset + min(section.raw_size, section.virtual_size)


def _replace(uki: bytes, section: Section, old: bytes, new: bytes) -> bytes:
    position = uki.find(old, section.offset, _end(section))
    if position < 0 or len(old) != len(new):
        raise LayoutError(f"{section.name} does not hold {old!r}")
    return uki[:position] + new + uki[position + len(new) :]
