# SPDX-License-Identifier: MIT
"""The list of root files: complete, sorted, the same wherever the folder is."""

from __future__ import annotations

import hashlib
import json
import os
from typing import TYPE_CHECKING

import pytest
from image_manifest.errors import ManifestError
from image_manifest.rootfs_files import encode_rootfs_files

if TYPE_CHECKING:
    from pathlib import Path


def make_root(root: Path) -> Path:
    (root / "usr/bin").mkdir(parents=True)
    (root / "usr/bin/tool").write_bytes(b"tool")
    (root / "usr/bin/tool").chmod(0o755)
    (root / "usr").chmod(0o755)
    (root / "usr/bin").chmod(0o711)
    (root / "bin").symlink_to("usr/bin")
    return root


def test_every_kind_of_entry(tmp_path: Path) -> None:
    document = json.loads(encode_rootfs_files(make_root(tmp_path)))
    assert document == {
        "schema": "buildernet-rootfs-files/1",
        "files": [
            {"path": "/bin", "type": "symlink", "target": "usr/bin"},
            {"path": "/usr", "type": "directory", "mode": "0755"},
            {"path": "/usr/bin", "type": "directory", "mode": "0711"},
            {
                "path": "/usr/bin/tool",
                "type": "file",
                "mode": "0755",
                "size": 4,
                "sha256": hashlib.sha256(b"tool").hexdigest(),
            },
        ],
    }


def test_place_and_times_leave_no_trace(tmp_path: Path) -> None:
    first, second = make_root(tmp_path / "first"), make_root(tmp_path / "elsewhere")
    os.utime(second / "usr/bin/tool", (1, 1))
    assert encode_rootfs_files(first) == encode_rootfs_files(second)


def test_one_line_a_file(tmp_path: Path) -> None:
    lines = encode_rootfs_files(make_root(tmp_path)).splitlines()
    assert sum('"path"' in line for line in lines) == 4


def test_a_pipe_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ManifestError, match="/pipe: neither"):
        encode_rootfs_files(tmp_path)
