# SPDX-License-Identifier: MIT
import contextlib
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildernet.measure.errors import DiskError
from buildernet.measure.gpt import ESP_TYPE, build_gpt_event, parse_gpt_event
from tests.support.disk_images import DISK_GUID, LINUX_TYPE, Partition, make_gpt

DISK = make_gpt(
    Partition(b"esp" * 1000),
    Partition(b"root", type_guid=LINUX_TYPE, guid=uuid.UUID(int=7), name="root"),
)
FRONT = DISK[: 34 * 512]
EVENT = build_gpt_event(memoryview(FRONT))


def test_event_is_header_count_and_used_entries() -> None:
    entries = DISK[1024 : 1024 + 256]
    assert DISK[512:604] + (2).to_bytes(8, "little") + entries == EVENT


def test_event_round_trips_to_names_and_places() -> None:
    table = parse_gpt_event(EVENT)
    assert table.disk_guid == DISK_GUID
    assert [(p.name, p.type_guid, p.first_lba) for p in table.partitions] == [
        ("esp", ESP_TYPE, 2048),
        ("root", LINUX_TYPE, 4096),
    ]


def test_file_without_table_is_refused() -> None:
    with pytest.raises(DiskError, match="no GPT"):
        build_gpt_event(memoryview(bytes(1024)))


@given(st.integers(0, 8 * 92 - 1))
def test_every_header_bit_is_protected(bit: int) -> None:
    damaged = bytearray(FRONT)
    damaged[512 + bit // 8] ^= 1 << bit % 8
    with pytest.raises(DiskError):
        build_gpt_event(memoryview(damaged))


@given(st.integers(1024, len(FRONT) - 1))
def test_every_entry_byte_is_protected(at: int) -> None:
    damaged = bytearray(FRONT)
    damaged[at] ^= 1
    with pytest.raises(DiskError, match="entries"):
        build_gpt_event(memoryview(damaged))


@given(st.integers(0, len(FRONT) - 1))
def test_truncated_disk_is_refused(length: int) -> None:
    with pytest.raises(DiskError):
        build_gpt_event(memoryview(FRONT[:length]))


@given(st.integers(0, len(EVENT) - 1), st.binary(max_size=8))
def test_damaged_event_raises_our_error_only(at: int, junk: bytes) -> None:
    with pytest.raises(DiskError):
        parse_gpt_event(EVENT[:at])
    with contextlib.suppress(DiskError):
        parse_gpt_event(EVENT[:at] + junk + EVENT[at + len(junk) :])
