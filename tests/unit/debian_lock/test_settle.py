# SPDX-License-Identifier: MIT
"""What a build does when pinned packages are gone, against a mirror made up of names."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from debian_lock.errors import PackageGoneError, ResolveError
from debian_lock.moves import Move
from debian_lock.settle import Locks, settle

from tests.support.debian_packages import lock, package

if TYPE_CHECKING:
    from collections.abc import Callable

    from debian_lock.lock import Lock, Package

OLD_KERNEL = package("linux-image-6.12.1-cloud", "6.12.1-1")
NEW_KERNEL = package("linux-image-6.12.2-cloud", "6.12.2-1")
BASH = package("bash")
PINNED = {"target": lock(BASH, OLD_KERNEL), "tools": lock(BASH)}
FRESH = {"target": lock(BASH, NEW_KERNEL), "tools": lock(BASH)}


def mirror(*served: Package) -> Callable[[Lock], list[Package]]:
    """A fetcher that gets what is served; the rest it returns."""
    return lambda wanted: [package for package in wanted.packages if package not in served]


def never() -> Locks:
    pytest.fail("nothing is to be resolved")


def test_pins_hold_while_everything_is_served() -> None:
    outcome = settle(PINNED, mirror(BASH, OLD_KERNEL), never)
    assert outcome.locks is PINNED
    assert outcome.pinned
    assert outcome.warning() == ""
    assert outcome.record() == {"pinned": True, "gone": [], "moved": {}}


def test_all_sets_go_on_with_what_the_mirror_has_now() -> None:
    outcome = settle(PINNED, mirror(BASH, NEW_KERNEL), lambda: FRESH)
    assert outcome.locks is FRESH
    assert not outcome.pinned
    assert outcome.gone == ("linux-image-6.12.1-cloud 6.12.1-1",)
    assert outcome.moved == {
        "target": (
            Move("linux-image-6.12.1-cloud", "6.12.1-1", None),
            Move("linux-image-6.12.2-cloud", None, "6.12.2-1"),
        ),
        "tools": (),
    }


def test_the_move_is_loud_and_recorded() -> None:
    outcome = settle(PINNED, mirror(BASH, NEW_KERNEL), lambda: FRESH)
    for word in (
        "MEASUREMENTS WILL DIFFER",
        "PINS=strict",
        "6.12.1-1",
        "6.12.2-1",
        "target: 2 moved",
        "tools: nothing",
    ):
        assert word in outcome.warning()
    record = json.loads(json.dumps(outcome.record()))
    assert record["pinned"] is False
    assert record["gone"] == ["linux-image-6.12.1-cloud 6.12.1-1"]
    assert record["moved"]["target"][1] == {
        "name": "linux-image-6.12.2-cloud",
        "old": None,
        "new": "6.12.2-1",
    }


def test_strict_fails_instead() -> None:
    with pytest.raises(PackageGoneError, match=r"PINS=strict.*6\.12\.1-1") as caught:
        settle(PINNED, mirror(BASH), never, strict=True)
    assert "make pins" in str(caught.value.hint)


def test_strict_is_content_while_everything_is_served() -> None:
    assert settle(PINNED, mirror(BASH, OLD_KERNEL), never, strict=True).pinned


def test_a_package_the_archive_still_lists_is_a_network_fault_and_moves_nothing() -> None:
    with pytest.raises(PackageGoneError, match="listed but not served: bash"):
        settle(PINNED, mirror(NEW_KERNEL), lambda: FRESH)


def test_a_replacement_that_is_not_served_either_is_an_error() -> None:
    with pytest.raises(PackageGoneError, match=r"not served: linux-image-6\.12\.2-cloud"):
        settle(PINNED, mirror(BASH), lambda: FRESH)


def test_a_mirror_out_of_reach_names_both_causes() -> None:
    def unreachable() -> Locks:
        raise ResolveError("no route to host")

    with pytest.raises(PackageGoneError, match=r"6\.12\.1-1; and no route to host"):
        settle(PINNED, mirror(BASH), unreachable)
