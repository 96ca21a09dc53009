# SPDX-License-Identifier: MIT
"""The deploy folder: complete, and its documents agree with each other and with the files."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from image_manifest.manifest import sha256_of

from tests.image.built_root import extract_root

pytestmark = pytest.mark.qemu

PUBLISHED = {
    "disk.raw",
    "uki.efi",
    "firmware.fd",
    "measurements.json",
    "events.json",
    "rootfs-files.json",
    "sbom.cdx.json",
    "manifest.json",
}
VARIANTS = {"image": "production", "dev_image": "development"}


@pytest.fixture(params=sorted(VARIANTS))
def deployed(request):
    """Each image in turn: its folder, and the variant it is meant to be."""
    return request.getfixturevalue(request.param).directory, VARIANTS[request.param]


def load(folder: Path, name: str) -> Any:
    return json.loads((folder / name).read_text())


def test_the_folder_holds_what_is_published_and_nothing_else(deployed):
    folder, _ = deployed
    assert {path.name for path in folder.iterdir() if path.suffix != ".minisig"} == PUBLISHED


def test_the_manifest_names_every_file_as_it_is(deployed):
    folder, variant = deployed
    manifest = load(folder, "manifest.json")
    assert (manifest["image"], manifest["variant"]) == (folder.name, variant)
    assert {name: entry["sha256"] for name, entry in manifest["files"].items()} == {
        name: sha256_of(folder / name) for name in PUBLISHED - {"manifest.json"}
    }


def test_the_manifest_says_what_boots(deployed):
    folder, _ = deployed
    manifest, events = load(folder, "manifest.json"), load(folder, "events.json")
    assert manifest["cmdline"] == events["cmdline"]
    assert re.search(rf" roothash={manifest['roothash']}$", manifest["cmdline"])
    assert manifest["cmdline"].encode() in (folder / "uki.efi").read_bytes()
    assert manifest["kernel"].encode() in (folder / "uki.efi").read_bytes()
    assert manifest["files"]["firmware.fd"]["sha256"] == events["firmware"]["sha256"]


def test_documents_tell_neither_host_nor_place_nor_time(deployed):
    folder, _ = deployed
    for name in PUBLISHED - {"disk.raw", "uki.efi", "firmware.fd"}:
        text = (folder / name).read_text()
        assert str(folder.resolve().parents[2]) not in text
        assert re.findall(r"20[2-9]\d-\d\d-\d\dT[0-9:]+", text) in ([], ["2025-01-01T00:00:00"])


def test_the_list_of_root_files_is_that_of_the_disk(image, tmp_path):
    listed = {entry["path"]: entry for entry in load(image.directory, "rootfs-files.json")["files"]}
    root = extract_root(image, tmp_path)
    found = {f"/{path.relative_to(root)}": path for path in root.rglob("*")}
    assert set(listed) == set(found)
    files = {path: entry for path, entry in listed.items() if entry["type"] == "file"}
    assert len(files) > 1000
    assert {path: entry["sha256"] for path, entry in files.items()} == {
        path: sha256_of(found[path]) for path in files
    }


def test_the_sbom_is_valid_and_names_what_the_image_is_made_of(deployed):
    folder, variant = deployed
    text = (folder / "sbom.cdx.json").read_text()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    sbom = json.loads(text)
    assert sbom["metadata"]["component"]["hashes"][0]["content"] == sha256_of(folder / "disk.raw")
    names = {component["name"] for component in sbom["components"]}
    assert {"systemd", "aiohttp", "buildernet", "ovmf"} <= names
    assert ("openssh-server" in names) == (variant == "development")
