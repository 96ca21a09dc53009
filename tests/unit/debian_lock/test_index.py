# SPDX-License-Identifier: MIT
"""Packages indices and release dates, as a mirror writes them and damaged."""

from __future__ import annotations

import contextlib
import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from debian_lock.errors import LockFormatError
from debian_lock.index import read_packages, release_date
from debian_lock.lock import Package
from hypothesis import given
from hypothesis import strategies as st

STANZA = """\
Package: bash
Version: 5.2.37-2+b9
Architecture: amd64
Description: shell
 Size: 7 of a continuation line
Size: 1500000
SHA256: 6f1bd9a5b2a2a1b2a3f0b6a7c8d9e0f1a2b3c4d5e6f708192a3b4c5d6e7f8091
Filename: pool/main/b/bash/bash_5.2.37-2+b9_amd64.deb
"""
INDEX = f"{STANZA}\n{STANZA.replace('bash', 'dash')}\n"


def test_stanzas_become_packages(tmp_path: Path) -> None:
    path = tmp_path / "Packages"
    path.write_text(INDEX)
    first, second = read_packages(path, "debian")
    assert first == Package(
        name="bash",
        version="5.2.37-2+b9",
        architecture="amd64",
        size=1500000,
        sha256="6f1bd9a5b2a2a1b2a3f0b6a7c8d9e0f1a2b3c4d5e6f708192a3b4c5d6e7f8091",
        archive="debian",
        path="pool/main/b/bash/bash_5.2.37-2+b9_amd64.deb",
    )
    assert second.name == "dash"


@pytest.mark.parametrize("field", ["Version", "Size", "SHA256", "Filename"])
def test_missing_field_is_named(tmp_path: Path, field: str) -> None:
    path = tmp_path / "Packages"
    path.write_text("".join(line for line in INDEX.splitlines(True) if not line.startswith(field)))
    with pytest.raises(LockFormatError, match=f"bash: .*{field}"):
        list(read_packages(path, "debian"))


@given(st.integers(min_value=0, max_value=8 * len(INDEX) - 1))
def test_any_bit_flip_is_packages_or_our_error(bit: int) -> None:
    data = bytearray(INDEX.encode())
    data[bit // 8] ^= 1 << bit % 8
    with TemporaryDirectory() as folder:
        path = Path(folder, "Packages")
        path.write_bytes(data)
        with contextlib.suppress(LockFormatError):
            assert len(list(read_packages(path, "debian"))) <= 3


def test_release_date_is_utc() -> None:
    head = "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n"
    text = f"{head}Date: Sat, 12 Sep 2026 09:55:41 +0200\n"
    assert release_date(text) == datetime.datetime(2026, 9, 12, 7, 55, 41, tzinfo=datetime.UTC)


@pytest.mark.parametrize("text", ["", "Origin: Debian\n", "Date: soon\n", "Date: \n", "\n" * 99])
def test_no_release_date_is_our_error(text: str) -> None:
    with pytest.raises(LockFormatError, match="release file"):
        release_date(text)


@given(st.text())
def test_any_release_date_is_a_date_or_our_error(text: str) -> None:
    with contextlib.suppress(LockFormatError):
        assert release_date(f"Date: {text}").tzinfo is datetime.UTC
