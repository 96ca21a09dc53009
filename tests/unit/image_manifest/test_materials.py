# SPDX-License-Identifier: MIT
"""Materials: which package URL each input gets."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Final

from debian_lock.lock import Lock, Package
from image_manifest.materials import debian_materials, own_material, wheel_materials
from uv_lock.wheels import locked_wheels

ROOT: Final = Path(__file__).resolve().parents[3]
BUSYBOX: Final = Package(
    name="busybox-static",
    version="1:1.37.0-6+b9",
    architecture="amd64",
    size=955316,
    sha256="ab" * 32,
    archive="debian",
    path="pool/main/b/busybox/busybox-static_1.37.0-6+b9_amd64.deb",
)
LOCK: Final = Lock(
    suite="trixie",
    architecture="amd64",
    snapshot="20261120T021254Z",
    mirrors={"debian": "http://deb.debian.org/debian"},
    requested=("busybox-static",),
    without=(),
    packages=(BUSYBOX,),
)


def test_a_debian_package_url_escapes_epoch_and_plus() -> None:
    (material,) = debian_materials([LOCK])
    assert material.purl == (
        "pkg:deb/debian/busybox-static@1:1.37.0-6%2Bb9?arch=amd64&distro=trixie"
    )
    assert (material.version, material.sha256) == (BUSYBOX.version, BUSYBOX.sha256)


def test_a_package_of_two_locks_is_one_material() -> None:
    assert len(debian_materials([LOCK, LOCK])) == 1


def test_firmware_is_marked() -> None:
    assert {material.firmware for material in debian_materials([LOCK], firmware=True)} == {True}


def test_an_architecture_independent_package_says_so() -> None:
    lock = dataclasses.replace(LOCK, packages=(dataclasses.replace(BUSYBOX, architecture="all"),))
    (material,) = debian_materials([lock])
    assert "arch=all&" in material.purl


def test_wheels_are_those_of_the_lock() -> None:
    materials = wheel_materials(ROOT / "uv.lock", "buildernet")
    wheels = {wheel.name: wheel for wheel in locked_wheels(ROOT / "uv.lock", "buildernet")}
    assert {material.name for material in materials} == set(wheels)
    for material in materials:
        assert material.purl == f"pkg:pypi/{material.name}@{wheels[material.name].version}"
        assert material.sha256 == wheels[material.name].sha256


def test_own_code_has_no_download() -> None:
    assert own_material("buildernet", "0.1.0").sha256 is None
