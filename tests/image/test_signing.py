# SPDX-License-Identifier: MIT
"""With a key the published documents are signed; without one no signature is left."""

import subprocess
from pathlib import Path

import pytest

from tests.support.build_copy import copy_tree

pytestmark = [pytest.mark.slow, pytest.mark.bitbake, pytest.mark.timeout(900)]

IMAGE = "buildernet-image"
SIGNED = ("manifest.json", "measurements.json", "events.json")


@pytest.fixture(scope="module")
def key(tmp_path_factory):
    """A secret key without password; the public key stands beside it."""
    path = tmp_path_factory.mktemp("key") / "release.key"
    command = ["minisign", "-G", "-W", "-s", path, "-p", path.with_suffix(".pub")]
    subprocess.run(command, check=True, capture_output=True, timeout=30)
    return path


@pytest.fixture(scope="module")
def signed(key, tmp_path_factory):
    """A copy of the tree in which the production image was built and signed."""
    folder = tmp_path_factory.mktemp("signed")
    copy = copy_tree(folder / "tree")
    copy.build(folder / "log", [IMAGE], settings={"BUILDERNET_MINISIGN_KEY": str(key)})
    return copy


def verify(file: Path, key: Path) -> subprocess.CompletedProcess[str]:
    command = ["minisign", "-V", "-m", str(file), "-p", str(key.with_suffix(".pub"))]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


@pytest.mark.parametrize("name", SIGNED)
def test_the_signature_is_the_keys(signed, key, name):
    result = verify(signed.deploy / IMAGE / name, key)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-1].startswith(f"Trusted comment: {IMAGE} ")
    assert result.stdout.splitlines()[-1].endswith(f" {name}")


def test_a_changed_document_is_refused(signed, key, tmp_path):
    for name in ("manifest.json", "manifest.json.minisig"):
        (tmp_path / name).write_bytes((signed.deploy / IMAGE / name).read_bytes())
    (tmp_path / "manifest.json").write_text("{}")
    assert verify(tmp_path / "manifest.json", key).returncode != 0


def test_the_key_stays_where_it_was(signed, key):
    secret = key.read_bytes().splitlines()[1]
    written = (path for path in signed.bitbake.rglob("*") if path.is_file())
    assert [path for path in written if secret in path.read_bytes()] == []


def test_without_a_key_the_signatures_go_and_the_image_stays(signed, tmp_path):
    before = (signed.deploy / IMAGE / "disk.raw").stat().st_mtime_ns
    signed.build(tmp_path / "log", [IMAGE])
    assert sorted((signed.deploy / IMAGE).glob("*.minisig")) == []
    assert (signed.deploy / IMAGE / "disk.raw").stat().st_mtime_ns == before
