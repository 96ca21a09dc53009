# SPDX-License-Identifier: MIT
"""Files are written whole or not at all, and only inside their folder."""

from pathlib import Path

import pytest

from buildernet.net.errors import StoreError
from buildernet.net.file_store import MAX_FILE_BYTES, FileStore


def test_what_is_written_is_read(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "new")
    assert store.read("name") is None
    store.write("name", b"one")
    store.write("name", b"two")
    assert FileStore(tmp_path / "new").read("name") == b"two"
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["name"]


@pytest.mark.parametrize("name", ["", "../name", "a/b", ".hidden", ".."])
def test_names_stay_inside_the_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(StoreError, match="not a file name"):
        FileStore(tmp_path).write(name, b"")


def test_failures_are_ours(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreError, match="cannot write"):
        FileStore(tmp_path / "file").write("name", b"")
    (tmp_path / "folder").mkdir()
    with pytest.raises(StoreError, match="cannot read"):
        FileStore(tmp_path).read("folder")


def test_huge_files_are_refused(tmp_path: Path) -> None:
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)
    with pytest.raises(StoreError, match="larger than"):
        FileStore(tmp_path).read("huge")
