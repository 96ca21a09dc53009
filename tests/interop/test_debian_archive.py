# SPDX-License-Identifier: MIT
"""Resolving with the real apt against the real, signed archive."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from debian_lock.apt import KEYRING, Apt, debian
from debian_lock.errors import ResolveError
from debian_lock.lock import dump_lock, parse_lock
from debian_lock.requests import Requests

if TYPE_CHECKING:
    from debian_lock.lock import Lock

pytestmark = pytest.mark.interop
MIRROR: Final = "deb.debian.org"
# Enough for any working network; a test run without one is not to hang.
CONNECT_SECONDS: Final = 5.0
# It signs old releases only, so it must not open today's.
FOREIGN_KEYRING: Final = Path("/usr/share/keyrings/debian-archive-removed-keys.gpg")


@pytest.fixture(scope="module")
def apt(tmp_path_factory: pytest.TempPathFactory) -> Apt:
    try:
        socket.create_connection((MIRROR, 80), CONNECT_SECONDS).close()
    except OSError as error:
        pytest.skip(f"{MIRROR} cannot be reached: {error}")
    if not KEYRING.is_file():
        pytest.skip("the package debian-archive-keyring is not installed")
    apt = Apt(debian(), tmp_path_factory.mktemp("apt"))
    apt.update()
    return apt


def names(lock: Lock) -> set[str]:
    return {package.name for package in lock.packages}


def test_dependencies_are_found_and_essential_packages_are_not_pulled_in(apt: Apt) -> None:
    lock = apt.resolve(Requests(("dosfstools",), ()))
    assert names(lock) == {"dosfstools", "gcc-14-base", "libc6", "libgcc-s1"}
    assert parse_lock(dump_lock(lock).encode()) == lock


def test_the_same_archive_gives_the_same_lock(apt: Apt) -> None:
    requests = Requests(("ca-certificates", "zstd"), ("debconf",))
    assert dump_lock(apt.resolve(requests)) == dump_lock(apt.resolve(requests))


def test_what_is_left_out_takes_its_own_needs_with_it(apt: Apt) -> None:
    kernel = ("linux-image-cloud-amd64",)
    full = names(apt.resolve(Requests(kernel, ())))
    assert {"initramfs-tools", "initramfs-tools-core", "cpio"} <= full
    reduced = names(apt.resolve(Requests(kernel, ("initramfs-tools",))))
    assert any(name.startswith("linux-image-6.12.") for name in reduced)
    assert not {name for name in reduced if name.startswith("initramfs")} | (reduced & {"cpio"})


def test_a_virtual_package_is_left_out_with_what_provides_it(apt: Apt) -> None:
    assert "mawk" in names(apt.resolve(Requests(("base-files",), ())))
    assert names(apt.resolve(Requests(("base-files",), ("mawk",)))) == {"base-files"}


def test_leaving_out_what_nothing_needs_is_an_error(apt: Apt) -> None:
    with pytest.raises(ResolveError, match="nothing needs what is left out: bash"):
        apt.resolve(Requests(("dosfstools",), ("bash",)))


def test_an_unknown_package_is_named(apt: Apt) -> None:
    with pytest.raises(ResolveError, match="no-such-package"):
        apt.resolve(Requests(("no-such-package",), ()))


def test_an_archive_signed_by_someone_else_is_refused(apt: Apt, tmp_path: Path) -> None:
    if not FOREIGN_KEYRING.is_file():
        pytest.skip(f"{FOREIGN_KEYRING} is not installed")
    with pytest.raises(ResolveError, match="apt-get update failed"):
        Apt(debian(), tmp_path, FOREIGN_KEYRING).update()


def test_a_missing_keyring_is_named(tmp_path: Path) -> None:
    with pytest.raises(ResolveError, match="no such keyring") as caught:
        Apt(debian(), tmp_path, tmp_path / "absent.gpg").update()
    assert "debian-archive-keyring" in str(caught.value.hint)


def test_a_mirror_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    nowhere = "http://127.0.0.1:9/debian"
    with pytest.raises(ResolveError, match=r"apt-get update failed(?s:.*)127\.0\.0\.1"):
        Apt(debian(mirror=nowhere, security_mirror=nowhere), tmp_path).update()
