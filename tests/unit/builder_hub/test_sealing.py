# SPDX-License-Identifier: MIT
import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from buildernet.builder_hub.errors import SealError
from buildernet.builder_hub.sealing import create_key_file, load_keys, new_key, parse_keys

TWO = f"# keys\n\nnew {'0b' * 32}\nold {'0a' * 32}\n"


def test_sealed_document_opens_for_its_builder_alone() -> None:
    sealer = parse_keys(TWO)
    sealed = sealer.seal(b"secret", builder="alpha")
    assert sealed.key_id == "new"
    assert b"secret" not in sealed.data
    assert sealer.open(sealed, builder="alpha") == b"secret"
    with pytest.raises(SealError):
        sealer.open(sealed, builder="beta")
    assert sealer.seal(b"secret", builder="alpha").data != sealed.data


def test_old_key_still_opens() -> None:
    old = parse_keys(f"old {'0a' * 32}").seal(b"x", builder="a")
    assert parse_keys(TWO).open(old, builder="a") == b"x"
    with pytest.raises(SealError, match="unknown key old"):
        parse_keys(f"new {'0b' * 32}").open(old, builder="a")


@settings(max_examples=50)
@given(st.integers(0, (12 + 6 + 16) * 8 - 1))
def test_any_flipped_bit_is_noticed(bit: int) -> None:
    sealer = parse_keys(TWO)
    sealed = sealer.seal(b"secret", builder="a")
    data = bytearray(sealed.data)
    data[bit // 8] ^= 1 << bit % 8
    with pytest.raises(SealError):
        sealer.open(replace(sealed, data=bytes(data)), builder="a")


@pytest.mark.parametrize("size", range(29))
def test_truncated_value_is_refused(size: int) -> None:
    sealer = parse_keys(TWO)
    sealed = sealer.seal(b"", builder="a")
    if size < len(sealed.data):
        with pytest.raises(SealError):
            sealer.open(replace(sealed, data=sealed.data[:size]), builder="a")


@pytest.mark.parametrize(
    "text", ["", "# only a comment", "x", "x 00", f"x {'zz' * 32}", f"a {'00' * 32}\na {'01' * 32}"]
)
def test_malformed_key_file_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(SealError) as error:
        parse_keys(text)
    assert "00" * 32 not in str(error.value)


@given(st.text(max_size=100))
def test_any_text_gives_keys_or_our_error(text: str) -> None:
    try:
        parse_keys(text)
    except SealError:
        return


def test_repr_holds_no_key() -> None:
    assert "0b0b" not in repr(parse_keys(TWO))
    assert "\\x0b" not in repr(parse_keys(TWO))


def test_key_file_is_made_once_and_for_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    made = create_key_file(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert load_keys(path).challenge_key() == made.challenge_key()
    with pytest.raises(SealError, match="cannot make"):
        create_key_file(path)
    path.chmod(0o640)
    with pytest.raises(SealError, match="open to others"):
        load_keys(path)
    with pytest.raises(SealError, match="cannot read"):
        load_keys(tmp_path / "none")


def test_key_file_is_on_the_disk_before_it_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a loss of power takes the key, and with it the secrets that were stored meanwhile."""
    path, synced = tmp_path / "keys", []

    def fsync(descriptor: int) -> None:
        name = Path(f"/proc/self/fd/{descriptor}").readlink()
        synced.append((name, name.is_file() and name.read_text(), path.exists()))

    monkeypatch.setattr(os, "fsync", fsync)
    made = create_key_file(path)
    (file, content, was_there), (folder, _, is_there) = synced
    assert file.parent == folder == tmp_path
    assert isinstance(content, str)
    assert parse_keys(content).challenge_key() == made.challenge_key()
    assert (was_there, is_there) == (False, True)
    assert list(tmp_path.iterdir()) == [path]


def test_key_file_that_cannot_be_written_is_not_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fsync(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(SealError, match="No space left"):
        create_key_file(tmp_path / "keys")
    assert list(tmp_path.iterdir()) == []


def test_new_keys_differ() -> None:
    assert new_key("a") != new_key("a")
    assert parse_keys(new_key("2026-01")).newest == "2026-01"
