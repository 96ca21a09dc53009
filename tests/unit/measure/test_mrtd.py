# SPDX-License-Identifier: MIT
"""MRTD against a second, literal reading of the TDX module's specification.

The values of real firmware are in tests/interop/test_stock_firmware.py.
"""

import hashlib

from buildernet.measure.mrtd import compute_mrtd
from tests.support.firmware_images import DEFAULT_SECTIONS, make_firmware


def add(page: int) -> bytes:
    return b"MEM.PAGE.ADD".ljust(16, b"\0") + page.to_bytes(8, "little") + bytes(104)


def extend(firmware: bytes, offset: int, address: int) -> bytes:
    header = b"MR.EXTEND".ljust(16, b"\0") + address.to_bytes(8, "little") + bytes(104)
    return header + firmware[offset : offset + 256]


def literal(firmware: bytes, *, two_pass: bool) -> bytes:
    stream = b""
    for offset, _, address, size, _, attributes in DEFAULT_SECTIONS:
        adds = [b"" if attributes & 2 else add(address + page) for page in range(0, size, 4096)]
        extends = [
            b"".join(
                extend(firmware, offset + page + at, address + page + at)
                for at in range(0, 4096, 256)
            )
            if attributes & 1
            else b""
            for page in range(0, size, 4096)
        ]
        if two_pass:
            stream += b"".join(adds) + b"".join(extends)
        else:
            stream += b"".join(one + other for one, other in zip(adds, extends, strict=True))
    return hashlib.sha384(stream).digest()


def test_both_page_orders() -> None:
    firmware = make_firmware()
    mrtd = compute_mrtd(memoryview(firmware))
    assert mrtd.single_pass == literal(firmware, two_pass=False)
    assert mrtd.two_pass == literal(firmware, two_pass=True)
    assert mrtd.single_pass != mrtd.two_pass


def test_only_extended_sections_matter() -> None:
    firmware = bytearray(make_firmware())
    before = compute_mrtd(memoryview(firmware))
    firmware[0x10] ^= 1  # configuration volume: not extended
    assert compute_mrtd(memoryview(firmware)) == before
    firmware[0x1010] ^= 1
    assert compute_mrtd(memoryview(firmware)) != before
