# SPDX-License-Identifier: MIT
"""Unpacking keeps to the destination, to the modes of the packages, and to one owner a path."""

from __future__ import annotations

import contextlib
import os
import stat
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from debian_lock.errors import UnpackError
from debian_lock.unpack import unpack
from hypothesis import given
from hypothesis import strategies as st

from tests.support.debian_packages import deb, deb_bytes, folder, link, member

PLAIN = deb_bytes([folder("./usr/"), member("./usr/a", b"content"), link("./b", "usr/a")])


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def test_files_folders_and_links(tmp_path: Path) -> None:
    package = deb(
        tmp_path / "a.deb",
        folder("./tmp/", 0o1777),
        member("./usr/bin/tool", b"#!", mode=0o755, mtime=86400, uid=7),
        link("./bin", "usr/bin"),
        link("./usr/bin/same", "./usr/bin/tool", tarfile.LNKTYPE),
    )
    before = os.umask(0o077)
    try:
        unpack([package], tmp_path / "root")
    finally:
        os.umask(before)
    root = tmp_path / "root"
    tool = root / "usr/bin/tool"
    assert (tool.read_bytes(), mode(tool), tool.stat().st_mtime) == (b"#!", 0o755, 86400)
    assert tool.stat().st_uid == os.getuid()
    assert tool.samefile(root / "usr/bin/same")
    assert (root / "bin").readlink() == Path("usr/bin")
    assert mode(root / "tmp") == 0o1777
    assert mode(root / "usr") == 0o755


def test_privilege_bits_are_dropped(tmp_path: Path) -> None:
    package = deb(tmp_path / "a.deb", folder("d", 0o2775), member("su", mode=0o6755))
    unpack([package], tmp_path / "root")
    assert mode(tmp_path / "root/su") == 0o755
    assert mode(tmp_path / "root/d") == 0o775


def test_documentation_is_left_out_but_not_the_licences(tmp_path: Path) -> None:
    package = deb(
        tmp_path / "a.deb",
        folder("./usr/share/doc/a/", 0o700),
        member("./usr/share/doc/a/README"),
        member("./usr/share/doc/a/copyright"),
        member("./usr/share/man/man1/a.1"),
        member("./usr/share/locale/de/LC_MESSAGES/a.mo"),
        member("./usr/share/misc"),
    )
    unpack([package], tmp_path / "root")
    found = {
        str(p.relative_to(tmp_path / "root")) for p in tmp_path.rglob("root/**/*") if p.is_file()
    }
    assert found == {"usr/share/doc/a/copyright", "usr/share/misc"}


def test_own_patterns_replace_the_documentation(tmp_path: Path) -> None:
    package = deb(tmp_path / "a.deb", member("boot/x"), member("boot/y"), member("usr/share/man/z"))
    unpack([package], tmp_path / "root", exclude=["boot/*"], keep=["*/y"])
    assert [p.name for p in sorted((tmp_path / "root").rglob("*")) if p.is_file()] == ["y", "z"]


def test_a_link_to_a_folder_inside_is_followed(tmp_path: Path) -> None:
    base = deb(tmp_path / "a.deb", folder("usr/lib"), link("lib", "usr/lib"))
    other = deb(tmp_path / "b.deb", folder("./lib/"), member("./lib/x"))
    unpack([base, other], tmp_path / "root")
    assert (tmp_path / "root/usr/lib/x").is_file()
    assert (tmp_path / "root/lib").is_symlink()


def test_same_link_twice_is_fine_and_the_first_folder_mode_counts(tmp_path: Path) -> None:
    first = deb(tmp_path / "a.deb", folder("d", 0o750), link("l", "d"))
    second = deb(tmp_path / "b.deb", folder("d", 0o755), link("l", "d"))
    unpack([first, second], tmp_path / "root")
    assert mode(tmp_path / "root/d") == 0o750


@pytest.mark.parametrize(
    ("members", "says"),
    [
        ([member("../x")], "leads outside"),
        ([member("/etc/x")], "leads outside"),
        ([member("a/../../x")], "leads outside"),
        ([link("out", ".."), member("out/x")], "leads outside"),
        ([link("out", "/etc"), member("out/x")], "leads outside"),
        ([link("out", "/etc"), folder("out/")], "leads outside"),
        ([link("hard", "../x", tarfile.LNKTYPE)], "leads outside"),
        ([link("s", "/etc/passwd"), link("h", "s", tarfile.LNKTYPE)], "hard link"),
        ([link("h", "absent", tarfile.LNKTYPE)], "No such file"),
        ([link("loop", "loop"), member("loop/x")], "circle|levels of symbolic links|exists"),
        ([member("x"), member("x")], "another package holds"),
        ([folder("x"), member("x")], "another package holds"),
        ([link("x", "a"), link("x", "b")], "another package holds"),
        ([link("x", "/absent"), member("x")], "another package holds"),
        ([member("dev", None, type=tarfile.CHRTYPE)], "device or pipe"),
        ([member("pipe", None, type=tarfile.FIFOTYPE)], "device or pipe"),
    ],
)
def test_what_does_not_belong_is_refused(
    tmp_path: Path, members: list[tuple[tarfile.TarInfo, bytes]], says: str
) -> None:
    package = deb(tmp_path / "bad.deb", *members)
    with pytest.raises(UnpackError, match=rf"(?s)bad\.deb: .*({says})"):
        unpack([package], tmp_path / "root")
    assert {path.name for path in tmp_path.iterdir()} == {"bad.deb", "root"}


def test_two_packages_may_not_hold_the_same_file(tmp_path: Path) -> None:
    packages = [deb(tmp_path / f"{name}.deb", member("x", name.encode())) for name in "ab"]
    with pytest.raises(UnpackError, match=r"b\.deb: x: another package"):
        unpack(packages, tmp_path / "root")
    assert (tmp_path / "root/x").read_bytes() == b"a"


def test_order_is_kept_over_many_packages(tmp_path: Path) -> None:
    packages = [deb(tmp_path / f"{n}.deb", folder("d", 0o700 + n % 8)) for n in range(5, 25)]
    unpack(packages, tmp_path / "root")
    assert mode(tmp_path / "root/d") == 0o705


def test_other_compression_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.deb"
    path.write_bytes(PLAIN.replace(b"data.tar.xz ", b"data.tar.zst"))
    with pytest.raises(UnpackError, match=r"data\.tar\.zst: only xz"):
        unpack([path], tmp_path / "root")


def test_a_package_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnpackError, match=r"absent\.deb"):
        unpack([tmp_path / "absent.deb"], tmp_path / "root")


def _unpack_bytes(data: bytes) -> None:
    with TemporaryDirectory() as place:
        path = Path(place, "a.deb")
        path.write_bytes(data)
        try:
            unpack([path], Path(place, "root"))
        finally:
            assert {entry.name for entry in Path(place).iterdir()} <= {"a.deb", "root"}


@given(st.integers(min_value=0, max_value=len(PLAIN) - 4))
def test_any_truncation_is_our_error(length: int) -> None:
    with pytest.raises(UnpackError):
        _unpack_bytes(PLAIN[:length])


@given(st.integers(min_value=0, max_value=8 * len(PLAIN) - 1))
def test_any_bit_flip_is_files_or_our_error(bit: int) -> None:
    data = bytearray(PLAIN)
    data[bit // 8] ^= 1 << bit % 8
    with contextlib.suppress(UnpackError):
        _unpack_bytes(bytes(data))
