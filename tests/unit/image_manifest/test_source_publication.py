# SPDX-License-Identifier: MIT
"""What is said about an image that was built from source."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Final

import pytest
from image_manifest.errors import ManifestError
from image_manifest.manifest import Identity
from image_manifest.source_publication import LOCKS, describe

if TYPE_CHECKING:
    from pathlib import Path

IDENTITY: Final = Identity("buildernet-image", "production", "0.1.0", "an-id", 1735689600)
EVENTS: Final = {"stub": "259.5", "cmdline": "console=ttyS0 roothash=00ff"}


@pytest.fixture
def places(tmp_path: Path) -> tuple[Path, Path, Path]:
    """Deploy folder, root and repository."""
    folder, root, tree = tmp_path / "deploy", tmp_path / "root", tmp_path / "tree"
    for path in (folder, root / "etc", tree):
        path.mkdir(parents=True)
    (folder / "events.json").write_text(json.dumps(EVENTS))
    (folder / "disk.raw").write_bytes(b"disk")
    (root / "etc/hostname").write_text("buildernet\n")
    for name in LOCKS:
        (tree / name).write_text(f"{name}\n")
    return folder, root, tree


def test_the_manifest_names_locks_kernel_and_every_file(places: tuple[Path, Path, Path]) -> None:
    folder, root, tree = places
    describe(IDENTITY, folder, root, tree, "6.18.39-yocto-standard")
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["kernel"] == "6.18.39-yocto-standard"
    assert manifest["roothash"] == "00ff"
    assert manifest["pins"] == {"as_locked": True}
    assert manifest["locks"] == {
        name: hashlib.sha256((tree / name).read_bytes()).hexdigest() for name in sorted(LOCKS)
    }
    assert set(manifest["files"]) == {"disk.raw", "events.json", "rootfs-files.json"}
    listed = json.loads((folder / "rootfs-files.json").read_text())["files"]
    assert [entry["path"] for entry in listed if entry["type"] == "file"] == ["/etc/hostname"]


def test_without_a_prediction_nothing_is_published(places: tuple[Path, Path, Path]) -> None:
    folder, root, tree = places
    (folder / "events.json").unlink()
    with pytest.raises(ManifestError, match="neither stub nor command line"):
        describe(IDENTITY, folder, root, tree, "6.18")
    assert not (folder / "manifest.json").exists()
