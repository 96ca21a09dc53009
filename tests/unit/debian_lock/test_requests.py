# SPDX-License-Identifier: MIT
"""Request files: three forms of a line, and nothing else."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from debian_lock.errors import LockFormatError
from debian_lock.requests import MAX_REQUEST_BYTES, Requests, read_requests
from hypothesis import given
from hypothesis import strategies as st


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / f"{name}.packages").write_text(text)
    return folder / "set.packages"


def test_names_are_sorted_and_comments_dropped(tmp_path: Path) -> None:
    path = write(tmp_path, set="# a set\n\nudev  # devices\nbash\nwithout dpkg # none\n")
    assert read_requests(path) == Requests(("bash", "udev"), ("dpkg",))


def test_include_adds_the_other_set(tmp_path: Path) -> None:
    path = write(tmp_path, base="bash\nwithout dpkg\n", set="include base\ncurl\n")
    assert read_requests(path) == Requests(("bash", "curl"), ("dpkg",))


def test_own_request_counts_over_what_an_included_file_leaves_out(tmp_path: Path) -> None:
    path = write(tmp_path, base="bash\nwithout dpkg\n", set="include base\ndpkg\n")
    assert read_requests(path) == Requests(("bash", "dpkg"), ())


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"set": "bash dash\n"}, r"set\.packages:1: not a request"),
        ({"set": "\nBash\n"}, r"set\.packages:2: not a request"),
        ({"set": "include ../x\n"}, "not a request"),
        ({"set": "without\n-o\n"}, "not a request"),
        ({"set": "bash\nwithout bash\n"}, "at once: bash"),
        ({"set": "include base\nwithout bash\n", "base": "bash\n"}, "at once: bash"),
        ({"set": "include set\n"}, "circle"),
        ({"set": "include other\n"}, "cannot be read"),
        ({"set": "# nothing\n"}, "no package"),
        ({"set": "#" * (MAX_REQUEST_BYTES + 1)}, "larger"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, files: dict[str, str], says: str) -> None:
    with pytest.raises(LockFormatError, match=says):
        read_requests(write(tmp_path, **files))


@given(st.binary(max_size=200))
def test_any_bytes_are_requests_or_our_error(data: bytes) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder, "set.packages")
        path.write_bytes(data)
        try:
            requests = read_requests(path)
        except LockFormatError:
            return
    assert requests.names
    assert all(not name.startswith("-") for name in requests.names + requests.without)
