# SPDX-License-Identifier: MIT
"""From a lock to the wheels of the image's Python, whatever Python runs the build."""

from __future__ import annotations

import contextlib
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st
from uv_lock import Platform, UvLockError, Wheel, locked_wheels, pinned_versions

HOST = "https://files.pythonhosted.org/packages/aa/bb"
LINUX = "manylinux2014_x86_64.manylinux_2_17_x86_64"


def wheel(filename: str, digest: str = "a" * 64) -> str:
    return f'{{ url = "{HOST}/{filename}", hash = "sha256:{digest}" }}'


def entry(name: str, *wheels: str, needs: str = "", version: str = "1.0", more: str = "") -> str:
    return (
        f'[[package]]\nname = "{name}"\nversion = "{version}"\n'
        f'source = {{ registry = "https://pypi.org/simple" }}\n'
        f"dependencies = [{needs}]\nwheels = [{', '.join(wheels)}]\n{more}\n"
    )


def project(needs: str) -> str:
    return (
        f'version = 1\n[[package]]\nname = "app"\nversion = "0"\n'
        f'source = {{ editable = "." }}\ndependencies = [{needs}]\n'
    )


def write(folder: Path, *parts: str) -> Path:
    path = folder / "uv.lock"
    path.write_text("\n".join(parts))
    return path


PURE = entry("pure", wheel("pure-1.0-py3-none-any.whl"))


def filenames(path: Path, platform: Platform | None = None) -> list[str]:
    return [found.filename for found in locked_wheels(path, "app", platform)]


def test_closure_is_followed_and_the_project_left_out(tmp_path: Path) -> None:
    middle = entry("middle", wheel("middle-1.0-py3-none-any.whl"), needs='{ name = "pure" }')
    other = entry("other", wheel("other-1.0-py3-none-any.whl"))
    path = write(tmp_path, project('{ name = "middle" }'), middle, other, PURE)
    assert filenames(path) == ["middle-1.0-py3-none-any.whl", "pure-1.0-py3-none-any.whl"]
    assert locked_wheels(path, "app")[1] == Wheel(
        "pure",
        "1.0",
        "pure-1.0-py3-none-any.whl",
        f"{HOST}/pure-1.0-py3-none-any.whl",
        "a" * 64,
    )


def test_a_circle_ends(tmp_path: Path) -> None:
    one = entry("one", wheel("one-1.0-py3-none-any.whl"), needs='{ name = "two" }')
    two = entry("two", wheel("two-1.0-py3-none-any.whl"), needs='{ name = "one" }')
    assert len(filenames(write(tmp_path, project('{ name = "one" }'), one, two))) == 2


@pytest.mark.parametrize(
    ("marker", "count"),
    [
        ("python_full_version < '3.13'", 0),
        ("python_full_version >= '3.13'", 1),
        ("sys_platform == 'linux' and platform_machine == 'x86_64'", 1),
        ("sys_platform == 'win32' or implementation_name == 'pypy'", 0),
    ],
)
def test_markers_are_those_of_the_image(tmp_path: Path, marker: str, count: int) -> None:
    path = write(tmp_path, project(f'{{ name = "pure", marker = "{marker}" }}'), PURE)
    assert len(filenames(path)) == count


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        (["x-1.0-py3-none-any.whl", f"x-1.0-cp313-cp313-{LINUX}.whl"], 1),
        ([f"x-1.0-cp311-abi3-{LINUX}.whl", f"x-1.0-cp314-abi3-{LINUX}.whl"], 0),
        ([f"x-1.0-cp313-cp313t-{LINUX}.whl", "x-1.0-py3-none-any.whl"], 1),
        (["x-1.0-cp313-cp313-musllinux_1_2_x86_64.whl", "x-1.0-py2.py3-none-any.whl"], 1),
        (["x-1.0-cp313-cp313-manylinux_2_42_x86_64.whl", f"x-1.0-py3-none-{LINUX}.whl"], 1),
        (["x-1.0-cp313-cp313-manylinux_2_41_x86_64.whl", f"x-1.0-cp313-cp313-{LINUX}.whl"], 0),
        ([f"x-1.0-cp312-cp312-{LINUX}.whl", "x-1.0-cp313-cp313-manylinux1_x86_64.whl"], 1),
    ],
)
def test_best_wheel_that_fits(tmp_path: Path, offered: list[str], chosen: int) -> None:
    lock = write(tmp_path, project('{ name = "x" }'), entry("x", *map(wheel, offered)))
    assert filenames(lock) == [offered[chosen]]


@pytest.mark.parametrize(
    "filename",
    [
        f"x-1.0-cp312-cp312-{LINUX}.whl",
        "x-1.0-cp313-cp313-manylinux_2_28_aarch64.whl",
        "x-1.0-cp313-cp313-win_amd64.whl",
    ],
)
def test_no_wheel_that_fits_is_named(tmp_path: Path, filename: str) -> None:
    path = write(tmp_path, project('{ name = "x" }'), entry("x", wheel(filename)))
    with pytest.raises(UvLockError, match=r"x 1\.0: no wheel that fits"):
        locked_wheels(path, "app")


def test_the_platform_is_a_parameter(tmp_path: Path) -> None:
    offered = [wheel(f"x-1.0-cp{minor}-cp{minor}-{LINUX}.whl") for minor in (312, 313)]
    path = write(tmp_path, project('{ name = "x" }'), entry("x", *offered))
    assert filenames(path, Platform(python="3.12.1")) == [f"x-1.0-cp312-cp312-{LINUX}.whl"]


def test_extras_bring_their_needs(tmp_path: Path) -> None:
    more = '[package.optional-dependencies]\nfast = [{ name = "pure" }]\n'
    base = entry("base", wheel("base-1.0-py3-none-any.whl"), more=more)
    with_extra = project('{ name = "base", extra = ["fast"] }, { name = "base" }')
    assert len(filenames(write(tmp_path, with_extra, base, PURE))) == 2
    assert len(filenames(write(tmp_path, project('{ name = "base" }'), base, PURE))) == 1


def test_a_fork_is_resolved_by_version(tmp_path: Path) -> None:
    forks = [
        entry("x", wheel(f"x-{version}-py3-none-any.whl"), version=version)
        for version in ("1.0", "2.0")
    ]
    path = write(tmp_path, project('{ name = "x", version = "2.0" }'), *forks)
    assert filenames(path) == ["x-2.0-py3-none-any.whl"]
    assert pinned_versions(path) == {"x": ("1.0, 2.0", f"{'a' * 64} {'a' * 64}")}
    ambiguous = write(tmp_path, project('{ name = "x" }'), *forks)
    with pytest.raises(UvLockError, match="x: 2 locked packages"):
        locked_wheels(ambiguous, "app")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "version 1"),
        ("version = 2", "version 1"),
        ("version = 1", "not in the form uv writes"),
        ("version = 1\npackage = 7", "not in the form uv writes"),
        ("version =", "cannot be read"),
        (project('{ name = "absent" }'), "absent: 0 locked packages"),
        (project('{ name = "pure", marker = "os ~ linux" }') + PURE, "marker 'os ~ linux'"),
        (project('{ name = "pure" }') + PURE.replace("sha256:", "md5:"), "sha256 are expected"),
        (project('{ name = "pure" }') + PURE.replace("https://files", "http://files"), "https"),
        (project('{ name = "pure" }') + PURE.replace("-any", "any"), "pure: "),
    ],
)
def test_mistakes_are_named(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(UvLockError, match=rf"uv\.lock: .*{says}"):
        locked_wheels(write(tmp_path, text), "app")


SMALL = (project('{ name = "pure", marker = "python_version >= \'3\'" }') + PURE).encode()


@given(st.integers(min_value=0, max_value=8 * len(SMALL) - 1), st.booleans())
def test_any_damage_is_wheels_or_our_error(bit: int, cut: bool) -> None:
    data = bytearray(SMALL)
    data[bit // 8] ^= 1 << bit % 8
    with TemporaryDirectory() as folder:
        path = Path(folder, "uv.lock")
        path.write_bytes(data[: bit // 8] if cut else data)
        for read in (lambda: locked_wheels(path, "app"), lambda: pinned_versions(path)):
            with contextlib.suppress(UvLockError):
                read()
