# SPDX-License-Identifier: MIT
"""The lock file: what is written is read back, and nothing else is accepted."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from debian_lock.errors import LockFormatError
from debian_lock.lock import dump_lock, load_lock, parse_lock, save_lock
from hypothesis import given
from hypothesis import strategies as st

from tests.support.debian_packages import lock, package

if TYPE_CHECKING:
    from pathlib import Path

SMALL = lock(package("libc6", "2.41-12+deb13u4"), package("openssl", "1:3.5-1", "debian-security"))
TEXT = dump_lock(SMALL)


def changed(**fields: Any) -> bytes:
    """The small lock with fields of its first package replaced."""
    document = json.loads(TEXT)
    document["packages"][0].update(fields)
    return json.dumps(document).encode()


def with_header(**fields: Any) -> bytes:
    return json.dumps(json.loads(TEXT) | fields).encode()


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "small.lock.json"
    save_lock(SMALL, path)
    assert load_lock(path) == SMALL
    assert list(tmp_path.iterdir()) == [path]


def test_one_package_a_line() -> None:
    lines = [line for line in TEXT.splitlines() if '"sha256"' in line]
    assert [json.loads(line.strip(" ,"))["name"] for line in lines] == ["libc6", "openssl"]


def test_places_of_a_package() -> None:
    openssl = SMALL.package("openssl")
    path = "pool/updates/main/o/openssl/openssl_3.5-1_amd64.deb"
    assert SMALL.uri(openssl) == f"http://deb.example/debian-security/{path}"
    assert (
        SMALL.snapshot_uri(openssl)
        == f"https://snapshot.debian.org/archive/debian-security/20260101T000000Z/{path}"
    )
    assert openssl.filename == "openssl_3.5-1_amd64.deb"


def test_unknown_package_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        SMALL.package("bash")


def test_size_is_the_sum() -> None:
    assert SMALL.size == 2000


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("path", "../../etc/passwd"),
        ("path", "pool/../../x_1_amd64.deb"),
        ("path", "/pool/main/l/libc6/libc6_1_amd64.deb"),
        ("path", "pool/main/l/libc6/libc6_1_amd64.deb;sha256sum=0"),
        ("path", "pool/main/l/libc6/libc6_1_amd64.deb\n"),
        ("path", "pool/main/l/libc6/..deb"),
        ("path", "http://evil.example/x.deb"),
        ("sha256", "0" * 63),
        ("sha256", "A" * 64),
        ("sha256", "0" * 64 + "\n"),
        ("sha256", None),
        ("size", 0),
        ("size", -1),
        ("size", True),
        ("size", "1000"),
        ("size", 1e3),
        ("size", 1 << 40),
        ("name", "LibC"),
        ("name", "libc6 evil"),
        ("version", "1;2"),
        ("archive", "elsewhere"),
        ("architecture", "amd64/../x"),
    ],
)
def test_malformed_field_is_refused(field: str, value: object) -> None:
    with pytest.raises(LockFormatError, match=f"{field} is malformed"):
        parse_lock(changed(**{field: value}))


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (with_header(schema="debian-lock/2"), "schema"),
        (with_header(surprise=1), "surprise"),
        (with_header(mirrors={}), "mirrors"),
        (with_header(mirrors={"debian": "file:///etc"}), "mirrors.debian"),
        (with_header(snapshot="today"), "snapshot"),
        (with_header(packages={}), "list is expected"),
        (with_header(packages=[1]), "object is expected"),
        (with_header(requested=["bb", "aa"]), "out of order"),
        (changed(name="zlib1g"), "out of order"),
        (changed(name="openssl"), "repeated"),
        (changed(extra=1), "extra"),
        (b"[]", "schema"),
        (b"{", "not JSON"),
        (b"\xff", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b" " * (5 << 20), "larger"),
    ],
)
def test_damage_is_named(data: bytes, says: str) -> None:
    with pytest.raises(LockFormatError, match=says):
        parse_lock(data)


def test_error_names_file_and_remedy(tmp_path: Path) -> None:
    with pytest.raises(LockFormatError, match=r"absent\.json") as caught:
        load_lock(tmp_path / "absent.json")
    assert caught.value.hint is not None
    assert "make pins" in caught.value.hint


@given(st.integers(min_value=0, max_value=len(TEXT) - 3))
def test_any_truncation_is_our_error(length: int) -> None:
    with pytest.raises(LockFormatError):
        parse_lock(TEXT.encode()[:length])


@given(st.integers(min_value=0, max_value=8 * len(TEXT) - 1))
def test_any_bit_flip_is_our_error_or_another_valid_lock(bit: int) -> None:
    data = bytearray(TEXT.encode())
    data[bit // 8] ^= 1 << bit % 8
    try:
        read = parse_lock(bytes(data))
    except LockFormatError:
        return
    assert parse_lock(dump_lock(read).encode()) == read


@given(st.recursive(st.none() | st.integers() | st.text(), lambda inner: st.lists(inner)))
def test_any_value_in_any_field_is_our_error(value: Any) -> None:
    for field in json.loads(TEXT)["packages"][0]:
        with pytest.raises(LockFormatError):
            parse_lock(changed(**{field: ["neither text nor number", value]}))
    for field in json.loads(TEXT):
        with pytest.raises(LockFormatError):
            parse_lock(with_header(**{field: [["no word", value]]}))
