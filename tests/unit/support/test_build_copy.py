# SPDX-License-Identifier: MIT
"""A copy of the tree is complete, has the modes of its umask, and shares nothing it changes."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support.build_copy import ROOT, BuildCopy, copy_tree

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> BuildCopy:
    folder = tmp_path_factory.mktemp("copy")
    downloads = folder / "downloads"
    downloads.mkdir()
    for name in ("package.deb", "package.deb.done", "package.deb.lock"):
        (downloads / name).write_text(name)
    return copy_tree(folder / "place/tree", umask=0o077, downloads=downloads)


def test_what_git_knows_is_there(copy: BuildCopy) -> None:
    for name in ("kas/debian.yml", "uv.lock", "layers/debian-core/bin/bitbake"):
        assert (copy.tree / name).read_bytes() == (ROOT / name).read_bytes()
    assert not (copy.tree / ".ruff_cache").exists()


def test_modes_are_those_of_the_umask(copy: BuildCopy) -> None:
    modes = {
        name: (copy.tree / name).stat().st_mode & 0o777
        for name in ("uv.lock", "layers/debian-core/bin/bitbake")
    }
    assert modes == {"uv.lock": 0o600, "layers/debian-core/bin/bitbake": 0o700}


def test_downloads_come_along_without_locks(copy: BuildCopy) -> None:
    assert {path.name for path in copy.downloads.iterdir()} == {"package.deb", "package.deb.done"}


def test_notes_of_the_fetcher_are_not_shared(copy: BuildCopy) -> None:
    note = copy.downloads / "package.deb.done"
    assert note.stat().st_nlink == 1


def test_its_python_is_its_own(copy: BuildCopy) -> None:
    command: list[str | Path] = [
        copy.tree / ".venv/bin/python3",
        "-c",
        "import kas; print(kas.__file__)",
    ]
    result = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert result.stdout.startswith(str(copy.tree))


def test_a_place_that_is_taken_is_refused(copy: BuildCopy) -> None:
    with pytest.raises(FileExistsError):
        copy_tree(copy.tree)
