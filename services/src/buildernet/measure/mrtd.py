# SPDX-License-Identifier: MIT
"""MRTD: what the TDX module measures while the host builds the trust domain.

Depends on the firmware file alone, and on whether the host's VMM adds and extends page by page
(QEMU 9 and later, Google) or first adds all pages of a section (Ubuntu's QEMU 8 and relatives).

Reference:
    Intel TDX Module ABI, TDH.MEM.PAGE.ADD and TDH.MR.EXTEND; specs/image.md section 3.2.
"""

import hashlib
import struct
from dataclasses import dataclass
from typing import Final

from buildernet.attestation.registers import Digest48
from buildernet.measure.tdvf import (
    ATTRIBUTE_EXTEND,
    ATTRIBUTE_PAGE_AUG,
    PAGE_BYTES,
    TDVFSection,
    parse_tdvf,
)

CHUNK_BYTES: Final = 256
"""TDH.MR.EXTEND works on this much."""

_PAGE_ADD: Final = struct.Struct("<16sQ104x")
_EXTEND: Final = struct.Struct("<16sQ104x")
_PAGE_ADD_NAME: Final = b"MEM.PAGE.ADD"
_EXTEND_NAME: Final = b"MR.EXTEND"


@dataclass(frozen=True, slots=True)
class MRTD:
    """Both legal values of one firmware."""

    single_pass: Digest48
    two_pass: Digest48


def compute_mrtd(firmware: memoryview) -> MRTD:
    """Compute MRTD for both page orders.

    Raises:
        FirmwareError: no usable TDX metadata.
    """
    sections = parse_tdvf(firmware)
    single, double = hashlib.sha384(), hashlib.sha384()
    for section in sections:
        adds = not section.attributes & ATTRIBUTE_PAGE_AUG
        extends = bool(section.attributes & ATTRIBUTE_EXTEND)
        pages = range(section.address, section.address + section.memory_bytes, PAGE_BYTES)
        for page in pages:
            added = _PAGE_ADD.pack(_PAGE_ADD_NAME, page) if adds else b""
            single.update(added)
            double.update(added)
            if extends:
                single.update(_extend_page(firmware, section, page))
        if extends:
            for page in pages:
                double.update(_extend_page(firmware, section, page))
    return MRTD(Digest48(single.digest()), Digest48(double.digest()))


def _extend_page(firmware: memoryview, section: TDVFSection, page: int) -> bytes:
    start = section.data_offset + page - section.address
    return b"".join(
        _EXTEND.pack(_EXTEND_NAME, page + at) + firmware[start + at : start + at + CHUNK_BYTES]
        for at in range(0, PAGE_BYTES, CHUNK_BYTES)
    )
