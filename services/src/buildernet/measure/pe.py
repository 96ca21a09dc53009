# SPDX-License-Identifier: MIT
"""PE images: sections and the Authenticode digest that firmware measures.

The digest follows edk2's PeCoffLib order, which for well-made files is the whole file without the
checksum, the certificate directory entry and the certificates.

Reference:
    Microsoft PE format and "Windows Authenticode Portable Executable Signature Format"; edk2
    DxeTpm2MeasureBootLib, MeasurePeImageAndExtend.
"""

import struct
from dataclasses import dataclass
from typing import Final

from buildernet.measure.digests import Digests, Hasher
from buildernet.measure.errors import PEError

MAX_SECTIONS: Final = 96
"""The Windows loader's limit; a UKI has about 20."""

PE32_MAGIC: Final = 0x10B
PE32_PLUS_MAGIC: Final = 0x20B
CERTIFICATE_DIRECTORY: Final = 4

_DOS_POINTER: Final = 0x3C
_COFF: Final = struct.Struct("<HHIIIHH")
_SECTION: Final = struct.Struct("<8sIIIIIIHHI")
_DIRECTORY: Final = struct.Struct("<II")
_CHECKSUM_OFFSET: Final = 64
_DIRECTORY_COUNT_OFFSET: Final = {PE32_MAGIC: 92, PE32_PLUS_MAGIC: 108}


@dataclass(frozen=True, slots=True)
class Section:
    """One section header."""

    name: str
    virtual_size: int
    virtual_address: int
    raw_offset: int
    raw_size: int


@dataclass(frozen=True, slots=True)
class PEImage:
    """A parsed image over the bytes it was parsed from."""

    view: memoryview
    sections: tuple[Section, ...]
    headers_bytes: int
    checksum_offset: int
    certificate_entry_offset: int | None
    """File offset of the certificate directory entry, None when the header has no room for one."""
    certificate_bytes: int

    def raw(self, section: Section) -> memoryview:
        """Return the bytes of a section in the file, padding included."""
        return self.view[section.raw_offset : section.raw_offset + section.raw_size]


def parse_pe(view: memoryview) -> PEImage:
    """Parse headers and check that every range lies within the file.

    Raises:
        PEError: not a PE image, or damaged.
    """
    if bytes(view[:2]) != b"MZ":
        raise PEError("not a PE image: no MZ signature")
    (pe_offset,) = _unpack(struct.Struct("<I"), view, _DOS_POINTER, "the DOS header")
    if bytes(view[pe_offset : pe_offset + 4]) != b"PE\0\0":
        raise PEError("not a PE image: no PE signature")
    coff = _unpack(_COFF, view, pe_offset + 4, "the COFF header")
    section_count, optional_bytes = coff[1], coff[5]
    if not 0 < section_count <= MAX_SECTIONS:
        raise PEError(f"PE image has {section_count} sections, 1 to {MAX_SECTIONS} are legal")
    optional = pe_offset + 4 + _COFF.size
    (magic,) = _unpack(struct.Struct("<H"), view, optional, "the optional header")
    if magic not in _DIRECTORY_COUNT_OFFSET:
        raise PEError(f"PE optional header has unknown magic 0x{magic:x}")
    (headers_bytes,) = _unpack(struct.Struct("<I"), view, optional + 60, "the optional header")
    table = optional + optional_bytes
    sections = tuple(
        _parse_section(view, table + position * _SECTION.size) for position in range(section_count)
    )
    count_offset = optional + _DIRECTORY_COUNT_OFFSET[magic]
    (directories,) = _unpack(struct.Struct("<I"), view, count_offset, "the optional header")
    entry: int | None = None
    certificate_bytes = 0
    if directories > CERTIFICATE_DIRECTORY:
        entry = count_offset + 4 + CERTIFICATE_DIRECTORY * _DIRECTORY.size
        _, certificate_bytes = _unpack(_DIRECTORY, view, entry, "the certificate directory")
    last_header = max(optional + _CHECKSUM_OFFSET + 4, (entry or 0) + _DIRECTORY.size)
    if not last_header <= headers_bytes <= len(view):
        raise PEError(f"PE headers of {headers_bytes} bytes do not fit the file")
    image = PEImage(
        view=view,
        sections=sections,
        headers_bytes=headers_bytes,
        checksum_offset=optional + _CHECKSUM_OFFSET,
        certificate_entry_offset=entry,
        certificate_bytes=certificate_bytes,
    )
    _check_sizes(image)
    return image


def _unpack(layout: struct.Struct, view: memoryview, offset: int, what: str) -> tuple[int, ...]:
    if offset + layout.size > len(view):
        raise PEError(f"PE image ends inside {what}")
    return layout.unpack_from(view, offset)


def _parse_section(view: memoryview, offset: int) -> Section:
    if offset + _SECTION.size > len(view):
        raise PEError("PE image ends inside the section table")
    name, virtual_size, address, raw_size, raw_offset, *_ = _SECTION.unpack_from(view, offset)
    if raw_size and raw_offset + raw_size > len(view):
        raise PEError(f"PE section {name!r} reaches beyond the end of the file")
    return Section(
        name=name.rstrip(b"\0").decode("ascii", "backslashreplace"),
        virtual_size=virtual_size,
        virtual_address=address,
        raw_offset=raw_offset,
        raw_size=raw_size,
    )


def _check_sizes(image: PEImage) -> None:
    """Refuse overlaps (they would be hashed twice) and certificates larger than the rest."""
    hashed = image.headers_bytes + sum(section.raw_size for section in image.sections)
    if hashed + image.certificate_bytes > len(image.view):
        raise PEError("PE sections overlap or the certificates do not fit the file")


def compute_authenticode(image: PEImage) -> Digests:
    """Compute the digest that LoadImage measures and Secure Boot signs, in both banks."""
    view, entry = image.view, image.certificate_entry_offset
    hasher = Hasher().update(view[: image.checksum_offset])
    after_checksum = image.checksum_offset + 4
    if entry is None:
        hasher.update(view[after_checksum : image.headers_bytes])
    else:
        hasher.update(view[after_checksum:entry])
        hasher.update(view[entry + _DIRECTORY.size : image.headers_bytes])
    hashed = image.headers_bytes
    for section in sorted(image.sections, key=lambda section: section.raw_offset):
        if section.raw_size:
            hasher.update(image.raw(section))
            hashed += section.raw_size
    hasher.update(view[hashed : len(view) - image.certificate_bytes])
    return hasher.digests()
