# SPDX-License-Identifier: MIT
"""A named file is read whole, or refused with the caller's error."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from buildernet.base.bounded_file import read_file
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
