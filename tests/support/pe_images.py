# SPDX-License-Identifier: MIT
"""Small PE images and UKIs made in memory, for tests of the readers."""

import struct
from collections.abc import Mapping

FILE_ALIGNMENT = 512
PAGE = 4096
PE_OFFSET = 0x80
DIRECTORIES = 16
MAX_SECTIONS = 24

CMDLINE = "console=tty0 console=ttyS0,115200 roothash=00"
STUB_257 = "257.13-1~deb13u1"


def align(value: int, to: int) -> int:
    return -(-value // to) * to


def make_pe(
    sections: Mapping[str, bytes], *, certificates: bytes = b"", fill: bytes = b""
) -> bytes:
    """A PE32+ image; `certificates` are appended and entered in the directory."""
    table_end = PE_OFFSET + 24 + 112 + DIRECTORIES * 8 + MAX_SECTIONS * 40
    headers_bytes = align(table_end, FILE_ALIGNMENT)
    offset, address = headers_bytes, PAGE
    table, body = b"", b""
    for name, data in sections.items():
        raw = align(len(data), FILE_ALIGNMENT)
        table += struct.pack(
            "<8sIIIIIIHHI", name.encode(), len(data), address, raw, offset, 0, 0, 0, 0, 0x40000040
        )
        body += data.ljust(raw, fill or b"\0")
        offset, address = offset + raw, address + align(max(len(data), 1), PAGE)
    directories = [(0, 0)] * DIRECTORIES
    if certificates:
        directories[4] = (offset, len(certificates))
    optional = struct.pack("<HBBIIIIIQIIHHHHHHIIIIHHQQQQII",
        0x20B, 14, 0, 0, 0, 0, PAGE, PAGE, 0x140000000, PAGE, FILE_ALIGNMENT,
        6, 0, 0, 0, 6, 0, 0, address, headers_bytes, 0xABCD1234, 10, 0,
        0x100000, 0x1000, 0x100000, 0x1000, 0, DIRECTORIES,
    )  # fmt: skip
    optional += b"".join(struct.pack("<II", *entry) for entry in directories)
    coff = struct.pack("<HHIIIHH", 0x8664, len(sections), 0, 0, 0, len(optional), 0x22E)
    dos = b"MZ".ljust(0x3C, b"\0") + struct.pack("<I", PE_OFFSET)
    headers = dos.ljust(PE_OFFSET, b"\0") + b"PE\0\0" + coff + optional + table
    return headers.ljust(headers_bytes, b"\0") + body + certificates


def make_kernel(seed: bytes = b"kernel") -> bytes:
    return make_pe({".text": seed * 100})


def make_uki(
    *,
    stub: str = STUB_257,
    cmdline: str | None = CMDLINE,
    initrd: bytes | None = b"070701 initrd of odd length",
    kernel: bytes | None = None,
    osrel: bytes | None = b"ID=buildernet\n",
    text: bytes = b"stub code",
    **others: bytes,
) -> bytes:
    """A UKI; keyword `uname=b"6.12"` adds a section .uname; None leaves a section out."""
    sections = {
        ".text": text,
        ".sbat": b"sbat,1,SBAT\n",
        ".sdmagic": f"#### LoaderInfo: systemd-stub {stub} ####".encode() + b"\0",
        ".osrel": osrel,
        ".cmdline": None if cmdline is None else cmdline.encode(),
        **{f".{name}": data for name, data in others.items()},
        ".linux": make_kernel() if kernel is None else kernel,
        ".initrd": initrd,
    }
    return make_pe({name: data for name, data in sections.items() if data is not None})
