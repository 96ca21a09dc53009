# SPDX-License-Identifier: MIT
"""The spool: what was appended is read in order until it is acknowledged, whatever a crash left."""

import errno
import os
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from buildernet.orderflow_proxy.spool import Spool, SpoolError, SpoolFullError, sync_descriptors

_PLENTY = 1 << 30


def opened(folder: Path, *, max_bytes: int = _PLENTY, segment_bytes: int = 400) -> Spool:
    return Spool(folder, max_bytes=max_bytes, segment_bytes=segment_bytes)


def drain(spool: Spool, *, max_records: int = 1000) -> list[bytes]:
    found: list[bytes] = []
    while (batch := spool.read(max_records=max_records, max_bytes=1 << 20)) is not None:
        found += batch.records
        spool.acknowledge(batch.end)
    return found


def killed(spool: Spool, to: Path) -> Path:
    """Copy the folder as a killed process leaves it."""
    folder = spool._folder
    shutil.copytree(folder, to)
    return to


def numbered(count: int, start: int = 0) -> list[bytes]:
    return [b"record %d" % number for number in range(start, start + count)]


def test_records_come_back_in_order_over_many_segments(tmp_path):
    spool = opened(tmp_path / "s")
    for record in numbered(100):
        spool.append(record)
    assert spool.waiting == 100
    assert len(list((tmp_path / "s").glob("*.spool"))) > 3
    assert drain(spool, max_records=7) == numbered(100)
    assert (spool.waiting, spool.waiting_bytes) == (0, 0)
    assert len(list((tmp_path / "s").glob("*.spool"))) == 1
    spool.close()


def test_a_batch_is_numbered_without_gaps_in_one_stream(tmp_path):
    spool = opened(tmp_path / "s")
    for record in numbered(50):
        spool.append(record)
    expected = 0
    while (batch := spool.read(max_records=9, max_bytes=1 << 20)) is not None:
        assert batch.first == expected
        expected += len(batch.records)
        spool.acknowledge(batch.end)
    assert expected == 50
    spool.close()


def test_what_is_not_acknowledged_is_read_again(tmp_path):
    spool = opened(tmp_path / "s")
    spool.append(b"one")
    first = spool.read(max_records=10, max_bytes=100)
    assert first == spool.read(max_records=10, max_bytes=100)
    spool.close()


def test_a_killed_process_loses_nothing_and_repeats_with_the_same_numbers(tmp_path):
    spool = opened(tmp_path / "s")
    for record in numbered(60):
        spool.append(record)
    sent = spool.read(max_records=5, max_bytes=1 << 20)
    assert sent is not None
    spool.acknowledge(sent.end)  # and the position is not written
    again = opened(killed(spool, tmp_path / "copy"))
    assert again.waiting == 60
    repeated = again.read(max_records=5, max_bytes=1 << 20)
    assert repeated is not None
    assert (repeated.stream, repeated.first) == (sent.stream, sent.first)
    assert drain(again) == numbered(60)


def test_a_written_position_is_where_a_restart_goes_on(tmp_path):
    spool = opened(tmp_path / "s")
    for record in numbered(60):
        spool.append(record)
    for _ in range(8):
        batch = spool.read(max_records=5, max_bytes=1 << 20)
        assert batch is not None
        spool.acknowledge(batch.end)
    spool.save_position()
    left = spool.waiting
    again = opened(killed(spool, tmp_path / "copy"))
    assert again.waiting == left < 60
    assert drain(again) == numbered(left, start=60 - left)


def test_a_restart_begins_a_new_stream(tmp_path):
    streams = set()
    for _ in range(3):
        spool = opened(tmp_path / "s")
        spool.append(b"x")
        streams.add(spool._segments[-1].stream)
        spool.close()
    assert len(streams) == 3
    spool = opened(tmp_path / "s")
    assert drain(spool) == [b"x"] * 3
    spool.close()


def test_a_position_of_another_stream_is_not_believed(tmp_path):
    """Else a segment that took a deleted one's number would be skipped unsent."""
    first = opened(tmp_path / "s")
    first.append(b"gone")
    assert drain(first) == [b"gone"]
    first.close()
    for path in (tmp_path / "s").glob("*.spool"):
        path.unlink()
    second = opened(tmp_path / "other")
    second.append(b"kept")
    for path in (tmp_path / "other").glob("*.spool"):
        shutil.copy(path, tmp_path / "s" / path.name)
    assert drain(opened(tmp_path / "s")) == [b"kept"]


def test_the_limit_refuses_and_keeps_what_is_there(tmp_path):
    spool = opened(tmp_path / "s", max_bytes=1000)
    kept = []
    while spool.used_bytes <= 1000 - 94:
        spool.append(b"x" * 50)
        kept.append(b"x" * 50)
    with pytest.raises(SpoolFullError, match="full"):
        spool.append(b"x" * 50)
    on_disk = sum(path.stat().st_size for path in (tmp_path / "s").glob("*.spool"))
    assert on_disk == spool.used_bytes <= 1000
    assert drain(spool) == kept
    spool.append(b"again")
    spool.close()


def test_a_full_disk_leaves_no_half_record(tmp_path, monkeypatch):
    spool = opened(tmp_path / "s", segment_bytes=1 << 20)
    spool.append(b"first")
    real = os.pwrite

    def partly(descriptor, data, at):
        if len(data) > 20:
            return real(descriptor, data[:20], at)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", partly)
    with pytest.raises(SpoolFullError, match="No space"):
        spool.append(b"y" * 100)
    monkeypatch.undo()
    spool.append(b"second")
    assert drain(opened(killed(spool, tmp_path / "copy"))) == [b"first", b"second"]


def test_a_second_process_is_refused(tmp_path):
    spool = opened(tmp_path / "s")
    with pytest.raises(SpoolError, match="another process"):
        opened(tmp_path / "s")
    spool.close()
    opened(tmp_path / "s").close()


def test_descriptors_to_sync_are_given_once(tmp_path):
    spool = opened(tmp_path / "s", segment_bytes=100)
    for record in numbered(20):
        spool.append(record)
    taken = spool.take_unsynced()
    assert len(taken) > 2
    sync_descriptors(taken)
    assert spool.take_unsynced() == []
    spool.append(b"more")
    sync_descriptors(spool.take_unsynced())
    spool.close()


def test_a_record_larger_than_a_segment_is_kept(tmp_path):
    spool = opened(tmp_path / "s")
    records = [b"a", b"b" * 5000, b"c"]
    for record in records:
        spool.append(record)
    assert drain(opened(killed(spool, tmp_path / "copy"))) == records
    assert drain(spool) == records


def test_damage_while_running_is_counted_and_passed(tmp_path):
    spool = opened(tmp_path / "s")
    for record in numbered(40):
        spool.append(record)
    first = sorted((tmp_path / "s").glob("*.spool"))[0]
    data = bytearray(first.read_bytes())
    data[60] ^= 1
    first.write_bytes(data)
    left = drain(spool)
    before, after = left[:1], left[1:]
    assert before == numbered(1)
    assert after == numbered(len(after), start=40 - len(after))
    assert 0 < len(after) < 39
    assert spool.lost_bytes > 0
    assert spool.waiting == 0


_records = st.lists(st.binary(max_size=120), min_size=1, max_size=25)
_damage = st.tuples(st.sampled_from(["cut", "flip"]), st.integers(0, 10_000), st.integers(0, 7))


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(records=_records, damage=_damage, which=st.integers(0, 50))
def test_any_damage_leaves_a_subsequence_and_nothing_invented(
    tmp_path_factory, records, damage, which
):
    folder = tmp_path_factory.mktemp("spool")
    spool = opened(folder / "s")
    for record in records:
        spool.append(record)
    copy = killed(spool, folder / "copy")
    spool.close()
    files = sorted(copy.glob("*.spool"))
    target = files[which % len(files)]
    data = bytearray(target.read_bytes())
    kind, at, bit = damage
    at %= len(data)
    if kind == "cut":
        target.write_bytes(data[:at])
    else:
        data[at] ^= 1 << bit
        target.write_bytes(data)
    again = opened(copy)
    found = drain(again)
    again.append(b"after")
    assert drain(again) == [b"after"]
    again.close()
    assert found != records or kind == "cut"
    rest = iter(records)
    assert all(any(one == other for other in rest) for one in found), "order or content changed"
    untouched = len(records) - len(found)
    assert untouched <= 400 // 8, "only the damaged segment may suffer"
