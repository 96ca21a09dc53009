# SPDX-License-Identifier: MIT
"""The folder as a whole: what `describe` writes agrees with what it found."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Final

import pytest
from debian_lock.settle import Outcome
from image_manifest.errors import ManifestError
from image_manifest.manifest import Identity, sha256_of
from image_manifest.publication import Inputs, describe

ROOT: Final = Path(__file__).resolve().parents[3]
LOCKS: Final = ROOT / "layers/meta-buildernet/debian/locks"
SETS: Final = ("target", "firmware", "build-tools")
IDENTITY: Final = Identity("image", "production", "0.1.0", "image_0.1.0", 1735689600)


def inputs(folder: Path) -> Inputs:
    """The repository's own locks, settled as pinned."""
    settled = folder / "settled"
    settled.mkdir(exist_ok=True)
    for name in SETS:
        shutil.copy(LOCKS / f"{name}.lock.json", settled)
    (settled / "outcome.json").write_text(json.dumps(Outcome({}).record()))
    return Inputs(
        settled, ["target"], ["firmware"], ["build-tools"], ROOT / "uv.lock", "buildernet"
    )


def build(folder: Path, *kernels: str) -> tuple[Path, Path]:
    deploy, root = folder / "deploy", folder / "root"
    deploy.mkdir(parents=True)
    (deploy / "disk.raw").write_bytes(b"disk")
    (deploy / "events.json").write_text(json.dumps({"stub": "257", "cmdline": "roothash=ab"}))
    root.mkdir()
    for kernel in kernels:
        (root / "usr/lib/modules" / kernel).mkdir(parents=True)
    return deploy, root


def test_the_manifest_covers_what_is_written_before_it(tmp_path: Path) -> None:
    deploy, root = build(tmp_path, "6.12.1-cloud-amd64")
    describe(IDENTITY, deploy, root, inputs(tmp_path))
    manifest = json.loads((deploy / "manifest.json").read_text())
    assert manifest["kernel"] == "6.12.1-cloud-amd64"
    assert set(manifest["locks"]) == {"uv.lock", *(f"{name}.lock.json" for name in SETS)}
    assert {name: entry["sha256"] for name, entry in manifest["files"].items()} == {
        name: sha256_of(deploy / name)
        for name in ("disk.raw", "events.json", "rootfs-files.json", "sbom.cdx.json")
    }


def test_another_folder_gets_the_same_bytes(tmp_path: Path) -> None:
    folders = [build(tmp_path / name, "6.12.1") for name in ("one", "two")]
    for deploy, root in folders:
        describe(IDENTITY, deploy, root, inputs(tmp_path))
    written = [{path.name: path.read_bytes() for path in deploy.iterdir()} for deploy, _ in folders]
    assert written[0] == written[1]


def test_packages_wheels_firmware_and_own_code_are_in_the_sbom(tmp_path: Path) -> None:
    deploy, root = build(tmp_path, "6.12.1")
    describe(IDENTITY, deploy, root, inputs(tmp_path))
    names = {
        (component["type"], component["name"])
        for component in json.loads((deploy / "sbom.cdx.json").read_text())["components"]
    }
    expected = {("library", name) for name in ("systemd", "aiohttp", "buildernet")}
    assert {*expected, ("firmware", "ovmf")} <= names


@pytest.mark.parametrize("kernels", [(), ("6.12.1", "6.12.2")])
def test_a_root_without_exactly_one_kernel_is_refused(
    tmp_path: Path, kernels: tuple[str, ...]
) -> None:
    deploy, root = build(tmp_path, *kernels)
    (root / "usr/lib").mkdir(parents=True, exist_ok=True)
    with pytest.raises(ManifestError, match="kernels"):
        describe(IDENTITY, deploy, root, inputs(tmp_path))
