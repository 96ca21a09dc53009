# SPDX-License-Identifier: MIT
"""Only a combined OVMF image, and only the manifest's, is booted."""

import hashlib
import json
from pathlib import Path

import pytest

from tests.harness.artefacts import load_image
from tests.harness.errors import FirmwareError, MissingImageError
from tests.harness.firmware import COMBINED_SIZE_BYTES, verify_firmware

GOOD = bytes(40) + b"_FVH" + bytes(COMBINED_SIZE_BYTES - 44)


@pytest.fixture
def deployed(tmp_path):
    (tmp_path / "firmware.fd").write_bytes(GOOD)
    (tmp_path / "disk.raw").write_bytes(b"disk")
    (tmp_path / "uki.efi").write_bytes(b"uki")
    return tmp_path


def write_manifest(folder: Path, digest: str) -> None:
    files = {"firmware.fd": {"sha256": digest}}
    (folder / "manifest.json").write_text(json.dumps({"files": files}))


def test_a_complete_folder_is_accepted(deployed):
    write_manifest(deployed, hashlib.sha256(GOOD).hexdigest())
    assert load_image(deployed).disk == deployed / "disk.raw"


@pytest.mark.parametrize("name", ["disk.raw", "uki.efi", "firmware.fd"])
def test_a_missing_file_is_named_with_a_hint(deployed, name):
    (deployed / name).unlink()
    with pytest.raises(MissingImageError, match=name) as caught:
        load_image(deployed)
    assert caught.value.hint == "run `make image`"


@pytest.mark.parametrize("content", [b"", GOOD[:-1], bytes(COMBINED_SIZE_BYTES)])
def test_another_kind_of_file_is_refused(deployed, content):
    (deployed / "firmware.fd").write_bytes(content)
    with pytest.raises(FirmwareError, match="combined"):
        load_image(deployed)


def test_another_firmware_than_the_manifest_names_is_refused(deployed):
    write_manifest(deployed, "00" * 32)
    with pytest.raises(FirmwareError, match="manifest says 00"):
        verify_firmware(deployed / "firmware.fd", deployed / "manifest.json")
