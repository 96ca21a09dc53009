# SPDX-License-Identifier: MIT
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from buildernet.base.paths import MAX_EVENT_BYTES
from buildernet.system_api.errors import FifoError
from buildernet.system_api.fifo import TRUNCATED, Fifo, LineAssembler


def _lines(chunks: list[bytes]) -> list[str]:
    assembler = LineAssembler()
    return [line for chunk in chunks for line in assembler.feed(chunk)]


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=8))
def test_how_the_stream_is_cut_does_not_matter(data, cuts):
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    chunks = [data[start:end] for start, end in pairwise(edges)]
    expected = [line.decode(errors="replace") for line in data.split(b"\n")[:-1] if line]
    assert _lines([data]) == expected
    assert _lines(chunks) == expected


def test_the_longest_line_is_kept_whole():
    longest = b"x" * (MAX_EVENT_BYTES - 1)
    assert _lines([longest + b"\n"]) == [longest.decode()]


@pytest.mark.parametrize("chunk", [1, 1000, MAX_EVENT_BYTES, 10**6])
def test_a_longer_line_is_cut_once_and_the_next_is_whole(chunk):
    data = b"y" * 100_000 + b"\nnext\n"
    assembler = LineAssembler()
    lines = [
        line
        for start in range(0, len(data), chunk)
        for line in assembler.feed(data[start : start + chunk])
    ]
    assert lines == ["y" * (MAX_EVENT_BYTES - 1) + TRUNCATED, "next"]
    assert assembler.truncated == 1


def test_an_unfinished_line_can_be_finished_once():
    assembler = LineAssembler()
    assert list(assembler.feed(b"half")) == []
    assert list(assembler.finish()) == ["half"]
    assert list(assembler.finish()) == []


async def test_a_regular_file_is_refused(tmp_path):
    path = tmp_path / "file"
    path.write_text("precious")
    with pytest.raises(FifoError, match="is not a FIFO"):
        Fifo(path, print, registry=CollectorRegistry()).open()
    assert path.read_text() == "precious"


async def test_a_symbolic_link_is_refused(tmp_path):
    path = tmp_path / "link"
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FifoError, match="cannot open FIFO"):
        Fifo(path, print, registry=CollectorRegistry()).open()


async def test_a_folder_that_is_missing_is_named(tmp_path):
    with pytest.raises(FifoError, match="none/fifo: No such file"):
        Fifo(tmp_path / "none" / "fifo", print, registry=CollectorRegistry()).open()
