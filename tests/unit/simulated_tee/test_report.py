# SPDX-License-Identifier: MIT
"""The report entries of the simulated configfs-tsm, where a mount is not needed to see them."""

from __future__ import annotations

import errno
import os
import re

import pytest

from tests.support.simulated_tee.report import OUTBLOB_MAX, Attribute, OpenFile, ReportTree


def make_tree(**options: object) -> ReportTree:
    tree = ReportTree(lambda report_data: b"quote of " + report_data, **options)  # type: ignore[arg-type]  # of one test
    tree.make("a")
    return tree


def test_generation_stops_one_turn_before_the_last_read():
    tree = make_tree()
    entry = tree.find("a")
    tree.store(entry, bytes(64))
    tree.show(entry, Attribute.OUTBLOB)
    entry.write_generation = entry.read_generation - 1
    with pytest.raises(OSError, match=os.strerror(errno.EBUSY)):
        tree.store(entry, bytes(64))
    assert entry.write_generation == 0


def test_generation_wraps_at_64_bits():
    tree = make_tree()
    entry = tree.find("a")
    entry.write_generation = 2**64 - 1
    entry.read_generation = 7
    tree.store(entry, bytes(64))
    assert tree.show(entry, Attribute.GENERATION) == b"0\n"


def test_open_file_of_a_dropped_entry_answers_enoent():
    tree = make_tree()
    entry = tree.find("a")
    opened = OpenFile(tree, entry, Attribute.GENERATION, os.O_RDONLY)
    written = OpenFile(tree, entry, Attribute.INBLOB, os.O_WRONLY)
    written.write(bytes(64), 0)
    tree.drop("a")
    with pytest.raises(OSError, match=re.escape(os.strerror(errno.ENOENT))):
        opened.read(10, 0)
    written.commit()
    assert entry.write_generation == 0


def test_quote_beyond_the_limit_is_efbig():
    tree = ReportTree(lambda _: bytes(OUTBLOB_MAX + 1))
    tree.make("a")
    tree.store(tree.find("a"), bytes(64))
    with pytest.raises(OSError, match=os.strerror(errno.EFBIG)):
        tree.show(tree.find("a"), Attribute.OUTBLOB)


def test_gap_between_writes_is_filled_with_zeros():
    tree = make_tree()
    opened = OpenFile(tree, tree.find("a"), Attribute.INBLOB, os.O_WRONLY)
    opened.write(b"b", 3)
    opened.write(b"a", 1)
    opened.commit()
    assert tree.find("a").inblob == b"\0a\0b"
