# SPDX-License-Identifier: MIT
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildernet.measure.errors import FirmwareError
from buildernet.measure.tdvf import (
    MAX_FIRMWARE_BYTES,
    MAX_SECTION_MEMORY_BYTES,
    MAX_SECTIONS,
    TDVFSection,
    parse_tdvf,
)
from tests.support.firmware_images import DEFAULT_SECTIONS, IMAGE_BYTES, make_firmware

FIRMWARE = make_firmware()


def test_sections_are_found_through_the_guided_table() -> None:
    sections = parse_tdvf(memoryview(FIRMWARE))
    assert sections == tuple(TDVFSection(*section) for section in DEFAULT_SECTIONS)


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ((0, 0x1000, 0x1001, 0x1000, 0, 0), "aligned"),
        ((0, 0x1000, 0x1000, 0x1001, 0, 0), "aligned"),
        ((0, 0x1000, 1 << 52, 0x1000, 0, 0), "physical"),
        ((0, 0, 0, MAX_SECTION_MEMORY_BYTES + 4096, 3, 0), "limit"),
        ((IMAGE_BYTES, 1, 0, 0x1000, 0, 0), "outside"),
        ((0, 0x1000, 0, 0x2000, 0, 1), "less data"),
    ],
)
def test_impossible_sections_are_refused(section: tuple[int, ...], message: str) -> None:
    with pytest.raises(FirmwareError, match=message):
        parse_tdvf(memoryview(make_firmware([section])))


@pytest.mark.parametrize("count", [0, MAX_SECTIONS + 1])
def test_section_count_is_bounded(count: int) -> None:
    with pytest.raises(FirmwareError, match=f"{count} sections"):
        parse_tdvf(memoryview(make_firmware([DEFAULT_SECTIONS[2]] * count)))


def test_firmware_without_metadata_is_refused_with_a_hint() -> None:
    with pytest.raises(FirmwareError, match="no TDX metadata") as caught:
        parse_tdvf(memoryview(bytes(4096)))
    assert "OVMF.fd" in (caught.value.hint or "")


def test_size_is_bounded() -> None:
    with pytest.raises(FirmwareError, match="limit"):
        parse_tdvf(memoryview(bytes(MAX_FIRMWARE_BYTES + 1)))


@given(st.integers(0, len(FIRMWARE) - 1))
def test_truncation_is_refused(length: int) -> None:
    with pytest.raises(FirmwareError):
        parse_tdvf(memoryview(FIRMWARE[:length]))


@given(st.integers(0, 2047 + 256), st.binary(min_size=1, max_size=8))
def test_damage_raises_our_error_only(from_end: int, junk: bytes) -> None:
    at = len(FIRMWARE) - from_end - 1
    damaged = (FIRMWARE[:at] + junk + FIRMWARE[at + len(junk) :])[: len(FIRMWARE)]
    with contextlib.suppress(FirmwareError):
        parse_tdvf(memoryview(damaged))
