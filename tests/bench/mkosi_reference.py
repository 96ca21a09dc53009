# SPDX-License-Identifier: MIT
"""The reference: Debian's mkosi builds a comparable image on the same machine, in the same run.

The same packages by the same names, erofs with dm-verity at the same compression, a UKI as the boot
loader, our initrd, our wheels and services. What differs is how: mkosi runs apt, dpkg and every
maintainer script, and pins nothing. mkosi and its tools come from locks/mkosi.lock.json, unpacked
into a root of their own, so that the host's version does not matter.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.bench.figures import Figure, take

ROOT: Final = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "layers/debian-core/lib"))

from debian_lock.lock import load_lock  # noqa: E402
from debian_lock.unpack import unpack  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator

    from debian_lock.lock import Lock, Package

LOCKS: Final = ROOT / "layers/meta-buildernet/debian/locks"
CONFIGURATION: Final = Path(__file__).with_name("mkosi")
PLACE: Final = ROOT / "build/bench"
"""Packages, and the root of mkosi; kept, as BitBake's downloads are."""
DOWNLOAD_SECONDS: Final = 60.0
BUILD_SECONDS: Final = 1200.0
MIB: Final = 1 << 20
IN_IMAGE: Final = ("python-wheels", "buildernet")
"""What our image has beside packages, taken from our build."""


def measure_reference(components: Path, work: Path) -> Iterator[Figure]:
    """Build twice: the first time fills mkosi's package cache, the second is the figure.

    Args:
        components: Folder of our build with initrd, wheels and services.
        work: Folder for the build, on the disk.
    """
    reference = _Reference(work)

    def build() -> float:
        if os.geteuid() != 0:
            raise PermissionError("mkosi needs root here: it runs in an unpacked root")
        reference.prepare(components)
        reference.build("fill.log")
        return reference.build("build.log", "--cache-only=always")

    note = "same packages, erofs + verity, UKI, our initrd; packages cached"
    yield take("mkosi: cold build", "s", build, note=note)
    yield take("mkosi: disk image", "MiB", lambda: reference.disk.stat().st_size / MIB)


@dataclass(frozen=True, slots=True)
class _Reference:
    """One mkosi build folder."""

    work: Path

    @property
    def disk(self) -> Path:
        return self.work / "out/reference.raw"

    def prepare(self, components: Path) -> None:
        shutil.copytree(CONFIGURATION, self.work, dirs_exist_ok=True)
        for component in IN_IMAGE:
            shutil.copytree(components / component, self.work / component, symlinks=True)
        shutil.copy(components / "buildernet-initrd/initrd.cpio.zst", self.work)
        for folder in ("out", "pkg"):
            (self.work / folder).mkdir()
        _unpack_tools()

    def build(self, log: str, *options: str) -> float:
        """Build and return the seconds it took."""
        packages = [f"--package={name}" for name in load_lock(LOCKS / "target.lock.json").requested]
        trees = [f"--extra-tree={name}" for name in IN_IMAGE]
        command = [*_enter(self.work), "mkosi", "--force", *options, *packages, *trees, "build"]
        begun = time.monotonic()
        with (self.work / log).open("wb") as output:
            code = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                check=False,
                timeout=BUILD_SECONDS,
            ).returncode
        if code:
            last = (self.work / log).read_text(errors="replace").splitlines()[-1]
            raise RuntimeError(f"mkosi ended with {code}: {last}")
        return time.monotonic() - begun


def _enter(work: Path) -> list[str]:
    """The root of mkosi as /, with real root's powers: mkosi mounts and changes roots itself."""
    return [
        *("bwrap", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--die-with-parent"),
        *("--cap-add", "ALL", "--bind", str(PLACE / "root"), "/", "--dev-bind", "/dev", "/dev"),
        *("--proc", "/proc", "--ro-bind", "/sys", "/sys", "--tmpfs", "/tmp", "--tmpfs", "/run"),  # noqa: S108
        *("--ro-bind", "/etc/resolv.conf", "/etc/resolv.conf", "--bind", str(work), "/work"),
        *("--chdir", "/work", "--clearenv", "--setenv", "PATH", "/usr/sbin:/usr/bin"),
        *("--setenv", "HOME", "/root", "--setenv", "LC_ALL", "C.UTF-8"),
    ]


def _unpack_tools() -> None:
    """Fetch and unpack mkosi, unless that was done for this very lock."""
    lock_file = LOCKS / "mkosi.lock.json"
    stamp, digest = PLACE / "root.stamp", hashlib.sha256(lock_file.read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text() == digest:
        return
    root, packages = PLACE / "root", PLACE / "packages"
    shutil.rmtree(root, ignore_errors=True)
    packages.mkdir(parents=True, exist_ok=True)
    lock = load_lock(lock_file)
    unpack([_fetch(lock, package, packages) for package in lock.packages], root)
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    (root / "etc/group").write_text("root:x:0:\n")
    for folder in ("work", "var/tmp"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    stamp.write_text(digest)


def _fetch(lock: Lock, package: Package, folder: Path) -> Path:
    target = folder / package.filename
    if not target.exists():
        with urllib.request.urlopen(lock.uri(package), timeout=DOWNLOAD_SECONDS) as response:  # noqa: S310
            data = response.read(package.size + 1)
        if hashlib.sha256(data).hexdigest() != package.sha256:
            raise ValueError(f"{package.filename}: not what the lock pins")
        target.write_bytes(data)
    return target
