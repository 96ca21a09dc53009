# SPDX-License-Identifier: MIT
"""The PEI and DXE volumes of an OVMF build, unpacked from its file: what PCR 0 is made of.

OVMF keeps both in one LZMA-compressed section; firmware measures them as they stand in memory.
Reference: PI specification 1.8, volume 3, sections 2.2 and 3.2.
"""

import lzma
import struct
import uuid

LZMA_SECTION = uuid.UUID("ee4e5898-3914-4259-9d6e-dc7bd79403cf")
VOLUME_IMAGE_SECTION = 0x17
VOLUME_LENGTH_OFFSET = 32


def unpack_volumes(firmware: bytes) -> list[bytes]:
    """PEI volume, then DXE volume."""
    start = firmware.index(LZMA_SECTION.bytes_le)
    (data_offset,) = struct.unpack_from("<H", firmware, start + 16)
    header = start - (8 if firmware[start - 8 : start - 5] == b"\xff\xff\xff" else 4)
    packed = firmware[header + data_offset :]
    data = lzma.LZMADecompressor(format=lzma.FORMAT_ALONE).decompress(packed)
    volumes, at = [], 0
    while at + 4 <= len(data):
        size = int.from_bytes(data[at : at + 3], "little")
        header_bytes = 4
        if size == 0xFFFFFF:
            (size,) = struct.unpack_from("<I", data, at + 4)
            header_bytes = 8
        if size < header_bytes:
            break
        if data[at + 3] == VOLUME_IMAGE_SECTION:
            body = data[at + header_bytes : at + size]
            (length,) = struct.unpack_from("<Q", body, VOLUME_LENGTH_OFFSET)
            volumes.append(body[:length])
        at += -(-size // 4) * 4
    return volumes
