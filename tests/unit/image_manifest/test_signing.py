# SPDX-License-Identifier: MIT
"""The number of a minisign key, as minisign itself states it in the public key."""

from __future__ import annotations

import base64
import subprocess
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from image_manifest.errors import ManifestError
from image_manifest.signing import key_number

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("key")
    subprocess.run(
        ["minisign", "-G", "-W", "-p", "key.pub", "-s", "key"],
        cwd=folder,
        check=True,
        capture_output=True,
    )
    return folder / "key"


def test_the_number_is_the_one_of_the_public_key(key: Path) -> None:
    public = key.with_suffix(".pub").read_text().splitlines()[0]
    assert key_number(str(key)) == public.split()[-1]


def test_a_number_with_leading_zeros_is_shown_as_minisign_shows_it(
    key: Path, tmp_path: Path
) -> None:
    comment, encoded = key.read_text().splitlines()
    data = bytearray(base64.b64decode(encoded))
    data[54:62] = bytes.fromhex("f303543f5a3a6b0b")
    (tmp_path / "zeros").write_text(f"{comment}\n{base64.b64encode(data).decode()}\n")
    assert key_number(str(tmp_path / "zeros")) == "B6B3A5A3F5403F3"


def test_no_key_is_no_number() -> None:
    assert key_number("") == ""


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="absent: not a minisign key"):
        key_number(str(tmp_path / "absent"))


def test_a_public_key_is_refused(key: Path) -> None:
    with pytest.raises(ManifestError, match="not a minisign secret key"):
        key_number(str(key.with_suffix(".pub")))


def test_a_key_with_a_password_is_refused(key: Path, tmp_path: Path) -> None:
    comment, encoded = key.read_text().splitlines()
    data = bytearray(base64.b64decode(encoded))
    data[2:4] = b"Sc"
    (tmp_path / "locked").write_text(f"{comment}\n{base64.b64encode(data).decode()}\n")
    with pytest.raises(ManifestError, match="password"):
        key_number(str(tmp_path / "locked"))


@given(content=st.binary(max_size=400))
def test_no_file_content_escapes_the_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.mktemp("key") / "key"
    path.write_bytes(content)
    with pytest.raises(ManifestError):
        key_number(str(path))
