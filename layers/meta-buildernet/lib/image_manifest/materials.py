# SPDX-License-Identifier: MIT
"""What an image is made of: packages, wheels, our own code, each with its package URL.

Reference:
    https://github.com/package-url/purl-spec (types deb, pypi, generic)
"""

import dataclasses
from collections.abc import Iterable
from pathlib import Path

from debian_lock.lock import Lock
from packageurl import PackageURL
from uv_lock.wheels import locked_wheels


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class Material:
    """One input that ends in the image.

    Attributes:
        purl: Package URL: unique, and the order of materials.
        name: As its distributor calls it.
        version: As its distributor writes it.
        sha256: Lower-case hex digest of the file it was fetched as; None for our own code, which
            is fetched by no one.
        firmware: Stands beside the disk and runs before it.
    """

    purl: str
    name: str
    version: str
    sha256: str | None
    firmware: bool = False


def debian_materials(locks: Iterable[Lock], *, firmware: bool = False) -> set[Material]:
    """Every package of some locks, each once."""
    found = set()
    for lock in locks:
        for package in lock.packages:
            where = {"arch": package.architecture, "distro": lock.suite}
            purl = PackageURL("deb", "debian", package.name, package.version, where)
            found.add(
                Material(purl.to_string(), package.name, package.version, package.sha256, firmware)
            )
    return found


def wheel_materials(uv_lock: Path, project: str) -> set[Material]:
    """The wheels that a project needs at run time.

    Raises:
        UvLockError: The lock is unreadable, or a dependency has no wheel that fits.
    """
    return {
        Material(
            PackageURL("pypi", None, wheel.name, wheel.version).to_string(),
            wheel.name,
            wheel.version,
            wheel.sha256,
        )
        for wheel in locked_wheels(uv_lock, project)
    }


def own_material(name: str, version: str) -> Material:
    """Code of this repository."""
    return Material(PackageURL("generic", None, name, version).to_string(), name, version, None)
