# SPDX-License-Identifier: MIT
"""Each change touches what it says and nothing else; anything unexpected is refused."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.harness.errors import LayoutError
from tests.harness.tamper import (
    change_command_line,
    change_initrd,
    change_kernel,
    change_stub,
    find_uki,
    flip_byte,
    read_sections,
)

KERNEL = bytearray(0x400)
struct.pack_into("<H", KERNEL, 0x20E, 0x100)
KERNEL[0x300:0x306] = b"6.12.0"
SECTIONS = {
    ".text": b"\x90" * 8 + "Unknown error, halting".encode("utf-16-le"),
    ".cmdline": b"console=tty0 roothash=00",
    ".initrd": b"070701" * 5,
    ".linux": bytes(KERNEL),
}
CHANGES = {
    ".cmdline": change_command_line,
    ".initrd": change_initrd,
    ".linux": change_kernel,
    ".text": change_stub,
}


def make_uki(sections: dict[str, bytes] = SECTIONS) -> bytes:
    pe = 0x40
    head = bytearray(0x400)
    struct.pack_into("<I", head, 0x3C, pe)
    head[pe : pe + 4] = b"PE\0\0"
    struct.pack_into("<H", head, pe + 6, len(sections))
    body = b""
    for index, (name, data) in enumerate(sections.items()):
        raw = -(-len(data) // 512) * 512
        at = pe + 24 + index * 40
        struct.pack_into(
            "<8sIIIIIIHHI", head, at, name.encode(), len(data), 0, raw, 0x400 + len(body), *[0] * 5
        )
        body += data.ljust(raw, b"\0")
    return bytes(head) + body


def data_of(uki: bytes, name: str) -> bytes:
    section = read_sections(uki)[name]
    return uki[section.offset : section.offset + section.virtual_size]


@pytest.mark.parametrize("name", SECTIONS)
def test_a_change_touches_its_own_section_only(name):
    uki = make_uki()
    changed = CHANGES[name](uki)
    assert len(changed) == len(uki)
    differing = {section for section in SECTIONS if data_of(changed, section) != SECTIONS[section]}
    assert differing == {name}


@pytest.mark.parametrize("name", SECTIONS)
def test_a_missing_section_is_refused(name):
    without = {key: value for key, value in SECTIONS.items() if key != name}
    with pytest.raises(LayoutError):
        CHANGES[name](make_uki(without))


def test_an_initrd_without_padding_is_refused():
    with pytest.raises(LayoutError, match="padding"):
        change_initrd(make_uki(SECTIONS | {".initrd": bytes(512)}))


def test_the_uki_is_found_in_one_piece_at_a_sector(tmp_path):
    disk = tmp_path / "disk.raw"
    disk.write_bytes(bytes(4096) + make_uki() + bytes(512))
    assert find_uki(disk, make_uki()) == 4096
    flip_byte(disk, 5000)
    with pytest.raises(LayoutError, match="in one piece"):
        find_uki(disk, make_uki())


@given(st.data())
def test_truncated_input_raises_only_our_error(data):
    uki = make_uki()
    cut = uki[: data.draw(st.integers(0, 0x40 + 24 + 39))]
    for change in CHANGES.values():
        with pytest.raises(LayoutError):
            change(cut)
