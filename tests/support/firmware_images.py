# SPDX-License-Identifier: MIT
"""Small firmware images with TDX metadata, made in memory."""

import struct
import uuid
from collections.abc import Sequence

FOOTER = uuid.UUID("96b582de-1fb2-45f7-baea-a366c55a082d")
METADATA = uuid.UUID("e47a6535-984a-4798-865e-4685a7bf8ec2")
IMAGE_BYTES = 64 * 1024

DEFAULT_SECTIONS = (
    (0x1000, 0x2000, 0xFFC01000, 0x2000, 0, 1),
    (0, 0x1000, 0xFFC00000, 0x1000, 1, 0),
    (0, 0, 0x810000, 0x1000, 3, 0),
    (0, 0, 0x820000, 0x1000, 2, 2),
)
"""data offset, raw size, address, memory size, type, attributes"""


def make_firmware(sections: Sequence[tuple[int, ...]] = DEFAULT_SECTIONS) -> bytes:
    image = bytearray(bytes(range(256)) * (IMAGE_BYTES // 256))
    descriptor = IMAGE_BYTES - 2048
    blob = struct.pack("<4sIII", b"TDVF", 16 + 32 * len(sections), 1, len(sections))
    blob += b"".join(struct.pack("<IIQQII", *section) for section in sections)
    image[descriptor : descriptor + len(blob)] = blob
    other = b"\0" * 4 + struct.pack("<H16s", 22, uuid.UUID(int=5).bytes_le)
    entry = struct.pack("<IH16s", IMAGE_BYTES - descriptor, 22, METADATA.bytes_le)
    entries = entry + other
    table = entries + struct.pack("<H16s", len(entries) + 18, FOOTER.bytes_le)
    image[IMAGE_BYTES - 32 - len(table) : IMAGE_BYTES - 32] = table
    return bytes(image)
