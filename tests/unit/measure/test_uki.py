# SPDX-License-Identifier: MIT
import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildernet.measure.errors import MeasureError, UKIError
from buildernet.measure.uki import MAX_ZERO_FILL_BYTES, compute_cmdline, parse_uki
from tests.support.pe_images import PE_OFFSET, make_kernel, make_pe, make_uki

UKI = make_uki(uname=b"6.12")
SECTION_TABLE = PE_OFFSET + 24 + 112 + 16 * 8


def parse(image: bytes):
    return parse_uki(memoryview(image))


def test_content_is_cut_at_virtual_size() -> None:
    uki = parse(UKI)
    assert bytes(uki.sections[".uname"]) == b"6.12"
    assert bytes(uki.sections[".linux"]) == make_kernel()
    assert uki.stub.major == 257


def grow_first_section(image: bytes, by: int) -> bytes:
    """Make .sbat (the second section) larger in memory than in the file."""
    damaged = bytearray(image)
    at = SECTION_TABLE + 40 + 8
    damaged[at : at + 4] = struct.pack("<I", 512 + by)
    return bytes(damaged)


def test_content_larger_in_memory_is_filled_with_zeros() -> None:
    content = bytes(parse(grow_first_section(UKI, 88)).sections[".sbat"])
    assert content == b"sbat,1,SBAT\n".ljust(600, b"\0")


def test_zero_fill_is_bounded() -> None:
    assert parse(grow_first_section(UKI, MAX_ZERO_FILL_BYTES))
    with pytest.raises(UKIError, match="refused"):
        parse(grow_first_section(UKI, MAX_ZERO_FILL_BYTES + 1))


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (make_pe({".text": b"x"}), "sdmagic"),
        (make_pe({".sdmagic": b"#### LoaderInfo: systemd-stub 257 ####"}), r"\.linux"),
        (make_uki(stub="251"), "older"),
        (make_uki(profile=b"ID=1"), "profile"),
        (make_uki(hwids=b"x"), "hwids"),
    ],
)
def test_other_images_are_refused(image: bytes, message: str) -> None:
    with pytest.raises(UKIError, match=message):
        parse(image)


def test_duplicate_section_is_refused() -> None:
    image = make_uki(linuy=b"second").replace(b".linuy", b".linux")
    with pytest.raises(UKIError, match="more than one"):
        parse(image)


def test_cmdline_is_cleaned_by_stubs_from_253() -> None:
    text = "console=ttyS0\tquiet \n"
    assert compute_cmdline(parse(make_uki(cmdline=text))) == "console=ttyS0 quiet"
    assert compute_cmdline(parse(make_uki(cmdline=text, stub="252.1"))) == text


def test_cmdline_ends_at_nul() -> None:
    assert compute_cmdline(parse(make_uki(cmdline="a\0b"))) == "a"


def test_missing_or_broken_cmdline_is_refused() -> None:
    with pytest.raises(UKIError, match="chooses"):
        compute_cmdline(parse(make_uki(cmdline=None)))
    with pytest.raises(UKIError, match="UTF-8"):
        compute_cmdline(
            parse(make_uki(cmdline=None, cmdlinf=b"\xff").replace(b".cmdlinf", b".cmdline"))
        )


@given(st.data())
def test_damage_raises_our_errors_only(data: st.DataObject) -> None:
    damaged = bytearray(UKI)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(UKI) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(MeasureError):
        compute_cmdline(parse(bytes(damaged)))
