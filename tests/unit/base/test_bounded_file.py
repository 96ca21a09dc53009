# SPDX-License-Identifier: MIT
"""A named file is read or replaced whole, or refused with the caller's error."""

from __future__ import annotations

import stat
from functools import partial
from typing import TYPE_CHECKING

import pytest

from buildernet.base.bounded_file import (
    read_file,
    read_private_file,
    replace_file,
    replacing,
)
from buildernet.base.errors import BuildernetError, ConfigError

if TYPE_CHECKING:
    from pathlib import Path


class _OwnError(BuildernetError):
    pass


def test_a_file_of_exactly_the_limit_is_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * 10)
    assert read_file(tmp_path / "file", limit=10) == b"x" * 10


def test_a_larger_file_is_refused_and_not_cut(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * 11)
    with pytest.raises(_OwnError, match="larger than 10 bytes"):
        read_file(tmp_path / "file", limit=10, error=_OwnError)


def test_an_absent_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent: No such file"):
        read_file(tmp_path / "absent", limit=10)


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Is a directory"):
        read_file(tmp_path, limit=10)


def test_the_error_may_bring_a_hint(tmp_path: Path) -> None:
    with pytest.raises(_OwnError) as caught:
        read_file(tmp_path / "absent", limit=1, error=partial(_OwnError, hint="make it"))
    assert caught.value.hint == "make it"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o610])
def test_a_key_that_is_open_to_others_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "key"
    path.write_bytes(b"key")
    path.chmod(mode)
    with pytest.raises(_OwnError, match=rf"open to others.*{mode:04o}") as caught:
        read_private_file(path, limit=3, error=_OwnError)
    assert caught.value.hint == f"chmod 0600 {path}"
    path.chmod(0o600)
    assert read_private_file(path, limit=3) == b"key"


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o444])
def test_a_file_is_replaced_with_its_mode(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "file"
    for data in (b"one", b"two"):
        replace_file(path, data, mode=mode)
        assert path.read_bytes() == data
        assert stat.S_IMODE(path.stat().st_mode) == mode
    assert list(tmp_path.iterdir()) == [path]


def test_what_fails_half_way_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def fail() -> None:
        with replacing(path) as file:
            file.write(b"new")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_cannot_be_written_is_the_callers_error(tmp_path: Path) -> None:
    with pytest.raises(_OwnError, match=r"cannot write .*absent/file: No such file"):
        replace_file(tmp_path / "absent/file", b"", error=_OwnError)
    (tmp_path / "folder").mkdir()
    with pytest.raises(_OwnError, match=r"cannot write .*folder"):
        replace_file(tmp_path / "folder", b"", error=_OwnError)
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
