# SPDX-License-Identifier: MIT
"""The manifest: every file of the folder, every pin, and whether the pins held."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, Final

import pytest
from debian_lock.moves import Move
from debian_lock.settle import Outcome
from image_manifest.errors import ManifestError
from image_manifest.manifest import MOVED_NOTE, Identity, encode_manifest

if TYPE_CHECKING:
    from pathlib import Path

IDENTITY: Final = Identity("image", "production", "0.1.0", "image_0.1.0", 1735689600)
CMDLINE: Final = "console=ttyS0 roothash=abcd"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    deploy = tmp_path / "image"
    deploy.mkdir()
    (deploy / "disk.raw").write_bytes(b"disk")
    (deploy / "events.json").write_text(json.dumps({"stub": "257.13-1", "cmdline": CMDLINE}))
    (tmp_path / "uv.lock").write_bytes(b"wheels")
    (tmp_path / "target.lock.json").write_bytes(b"packages")
    settle(tmp_path, Outcome({}))
    return deploy


def settle(folder: Path, outcome: Outcome) -> None:
    (folder / "outcome.json").write_text(json.dumps(outcome.record()))


def encode(folder: Path) -> dict[str, Any]:
    pins = folder.parent
    text = encode_manifest(
        IDENTITY, folder, kernel="6.12", settled=pins, sets=["target"], uv_lock=pins / "uv.lock"
    )
    document: dict[str, Any] = json.loads(text)
    return document


def test_what_boots_is_named(folder: Path) -> None:
    manifest = encode(folder)
    assert manifest["schema"] == "buildernet-image-manifest/1"
    assert manifest["variant"] == "production"
    assert manifest["stub"] == "257.13-1"
    assert manifest["cmdline"] == CMDLINE
    assert manifest["roothash"] == "abcd"


def test_every_file_but_manifest_and_signatures_is_listed(folder: Path) -> None:
    (folder / "manifest.json").write_text("an older one")
    (folder / "manifest.json.minisig").write_text("its signature")
    files = encode(folder)["files"]
    assert list(files) == ["disk.raw", "events.json"]
    assert files["disk.raw"] == {"size": 4, "sha256": hashlib.sha256(b"disk").hexdigest()}


def test_locks_are_listed_by_name_and_digest(folder: Path) -> None:
    manifest = encode(folder)
    assert manifest["locks"] == {
        "target.lock.json": hashlib.sha256(b"packages").hexdigest(),
        "uv.lock": hashlib.sha256(b"wheels").hexdigest(),
    }
    assert manifest["pins"] == {"as_locked": True}


def test_moved_pins_are_told_with_what_follows(folder: Path, tmp_path: Path) -> None:
    moved = {"target": (Move("bash", "5", "6"),), "firmware": ()}
    settle(tmp_path, Outcome({}, gone=("bash 5",), moved=moved))
    assert encode(folder)["pins"] == {
        "as_locked": False,
        "note": MOVED_NOTE,
        "moved": {"target": [{"name": "bash", "old": "5", "new": "6"}]},
    }


def test_what_moved_in_a_set_of_another_image_does_not_matter(folder: Path, tmp_path: Path) -> None:
    moved = {"target": (), "target-dev": (Move("less", "1", "2"),)}
    settle(tmp_path, Outcome({}, gone=("less 1",), moved=moved))
    assert encode(folder)["pins"] == {"as_locked": True}


@pytest.mark.parametrize("outcome", [None, "", "[]", "{}", '{"moved": 1}'])
def test_pins_without_a_word_on_them_are_refused(
    folder: Path, tmp_path: Path, outcome: str | None
) -> None:
    (tmp_path / "outcome.json").unlink()
    if outcome is not None:
        (tmp_path / "outcome.json").write_text(outcome)
    with pytest.raises(ManifestError, match="whether the pins held"):
        encode(folder)


@pytest.mark.parametrize(
    "events", [None, "", "[]", "{}", '{"stub": "257"}', '{"stub": "257", "cmdline": "quiet"}']
)
def test_an_incomplete_prediction_is_refused(folder: Path, events: str | None) -> None:
    (folder / "events.json").unlink()
    if events is not None:
        (folder / "events.json").write_text(events)
    with pytest.raises(ManifestError):
        encode(folder)


def test_two_root_hashes_are_refused(folder: Path) -> None:
    cmdline = f"{CMDLINE} roothash=ef"
    (folder / "events.json").write_text(json.dumps({"stub": "257", "cmdline": cmdline}))
    with pytest.raises(ManifestError, match="2 root hashes"):
        encode(folder)
