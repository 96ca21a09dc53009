# SPDX-License-Identifier: MIT
"""The lock files follow from their request files, and the sets fit together."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest
from debian_lock.lock import SCHEMA, Lock, Package, dump_lock, load_lock
from debian_lock.requests import read_requests
from uv_lock import locked_wheels

ROOT: Final = Path(__file__).resolve().parents[2]
LOCKS: Final = ROOT / "layers/meta-buildernet/debian/locks"
SETS: Final = sorted(path.name.removesuffix(".packages") for path in LOCKS.glob("*.packages"))
# Nothing of them may ever be in the production image.
NEVER_IN_PRODUCTION: Final = {
    "apt",
    "debconf",
    "dpkg",
    "login",
    "openssh-server",
    "passwd",
    "perl-base",
}


def lock(name: str) -> Lock:
    return load_lock(LOCKS / f"{name}.lock.json")


def test_every_set_has_a_lock_and_every_lock_a_set() -> None:
    assert SETS
    assert sorted(path.name.removesuffix(".lock.json") for path in LOCKS.glob("*.json")) == SETS


@pytest.mark.parametrize("name", SETS)
def test_lock_follows_from_its_requests(name: str) -> None:
    requests = read_requests(LOCKS / f"{name}.packages")
    locked = lock(name)
    assert (locked.requested, locked.without) == (requests.names, requests.without), (
        "the requests were edited: run `make pins`"
    )
    names = {package.name for package in locked.packages}
    assert set(requests.names) <= names
    assert names.isdisjoint(requests.without)


@pytest.mark.parametrize("name", SETS)
def test_lock_is_in_its_canonical_form(name: str) -> None:
    text = (LOCKS / f"{name}.lock.json").read_text()
    assert text == dump_lock(lock(name))
    assert SCHEMA in text


def test_all_sets_agree_on_every_package_they_share() -> None:
    seen: dict[str, Package] = {}
    for name in SETS:
        for package in lock(name).packages:
            assert seen.setdefault(package.name, package) == package


def test_development_set_contains_the_production_set() -> None:
    assert set(lock("target").packages) < set(lock("target-dev").packages)


def test_production_set_has_no_way_to_install_or_log_in() -> None:
    assert {package.name for package in lock("target").packages} & NEVER_IN_PRODUCTION == set()


def test_image_python_is_the_one_the_wheels_are_chosen_for() -> None:
    versions = {package.name: package.version for package in lock("target").packages}
    assert versions["python3.13-minimal"].startswith("3.13.")
    assert versions["libc6"].startswith("2.41-")
    names = {wheel.name for wheel in locked_wheels(ROOT / "uv.lock", "buildernet")}
    assert {"aiohttp", "yarl"} <= names
    assert names.isdisjoint({"pytest", "buildernet", "sqlalchemy", "chdb-core"})
