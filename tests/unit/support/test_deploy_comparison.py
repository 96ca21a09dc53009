# SPDX-License-Identifier: MIT
"""A difference of one byte is found, named, and explained at its cause."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.deploy_comparison import compare, explain

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    for side in ("first", "second"):
        for image in ("image", "image-dev"):
            folder = tmp_path / side / image
            folder.mkdir(parents=True)
            for name in ("disk.raw", "manifest.json", "rootfs-files.json"):
                (folder / name).write_text(f"{name}\n")
    return tmp_path / "first", tmp_path / "second"


def differing(folders: tuple[Path, Path]) -> list[str]:
    return [file.name for file in compare(*folders) if not file.same]


def test_equal_folders_have_no_difference(folders: tuple[Path, Path]) -> None:
    assert len(compare(*folders)) == 6
    assert differing(folders) == []


def test_one_byte_is_a_difference(folders: tuple[Path, Path]) -> None:
    (folders[1] / "image/disk.raw").write_text("Disk.raw\n")
    assert differing(folders) == ["image/disk.raw"]
    (line,) = [str(file) for file in compare(*folders) if not file.same]
    assert line.startswith("  DIFFERS  ")


def test_a_missing_file_is_a_difference(folders: tuple[Path, Path]) -> None:
    (folders[0] / "image-dev/disk.raw").unlink()
    assert differing(folders) == ["image-dev/disk.raw"]


def test_the_report_shows_the_cause_not_what_follows(folders: tuple[Path, Path]) -> None:
    for name in ("disk.raw", "rootfs-files.json"):
        (folders[1] / "image" / name).write_text("changed\n")
    (report,) = explain(*folders, [file for file in compare(*folders) if not file.same])
    assert "rootfs-files.json" in report
    assert "+changed" in report
    assert "disk.raw" not in report
