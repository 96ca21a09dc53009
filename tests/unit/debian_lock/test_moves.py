# SPDX-License-Identifier: MIT
"""What moved is said once, by name, and only where something moved."""

from __future__ import annotations

import dataclasses

from debian_lock.moves import Move, diff, moves, refreshed, table

from tests.support.debian_packages import lock, package

OLD = lock(package("bash"), package("linux-image-6.12.1-cloud", "6.12.1-1"), package("udev"))
NEW = lock(
    package("bash", "1.1-1"), package("linux-image-6.12.2-cloud", "6.12.2-1"), package("udev")
)
MOVED = [
    Move("bash", "1.0-1", "1.1-1"),
    Move("linux-image-6.12.1-cloud", "6.12.1-1", None),
    Move("linux-image-6.12.2-cloud", None, "6.12.2-1"),
]


def test_changed_added_and_removed() -> None:
    assert diff(OLD, NEW) == MOVED


def test_same_lock_has_no_moves() -> None:
    assert diff(OLD, OLD) == []


def test_without_an_old_lock_all_is_added() -> None:
    assert {move.old for move in diff(None, NEW)} == {None}
    assert len(diff(None, NEW)) == 3


def test_same_version_with_other_content_is_a_move() -> None:
    assert moves({"a": ("1", "0" * 64)}, {"a": ("1", "f" * 64)}) == [
        Move("a", "1 (sha256 000000000000)", "1 (sha256 ffffffffffff)")
    ]


def test_table_is_aligned() -> None:
    assert table(MOVED) == [
        "bash                      1.0-1     -> 1.1-1",
        "linux-image-6.12.1-cloud  6.12.1-1  -> (gone)",
        "linux-image-6.12.2-cloud  (new)     -> 6.12.2-1",
    ]
    assert table([]) == []


def test_a_later_snapshot_alone_leaves_the_lock_as_it_is() -> None:
    later = dataclasses.replace(OLD, snapshot="20260202T000000Z")
    assert refreshed(OLD, later) is OLD
    assert refreshed(OLD, NEW) is NEW
    assert refreshed(OLD, dataclasses.replace(later, without=())).without == ()
    assert refreshed(None, NEW) is NEW
