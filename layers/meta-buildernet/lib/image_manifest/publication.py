# SPDX-License-Identifier: MIT
"""Writes what is said about an image into its deploy folder."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from debian_lock.lock import Lock, load_lock

from image_manifest.errors import ManifestError
from image_manifest.manifest import MANIFEST, Identity, encode_manifest, sha256_of
from image_manifest.materials import debian_materials, own_material, wheel_materials
from image_manifest.rootfs_files import encode_rootfs_files
from image_manifest.sbom import encode_sbom

DISK = "disk.raw"
ROOTFS_FILES = "rootfs-files.json"
SBOM = "sbom.cdx.json"


@dataclasses.dataclass(frozen=True, slots=True)
class Inputs:
    """Where the materials of an image are written down.

    Attributes:
        settled: Folder of the Debian locks that were built from, and of ``outcome.json``.
        packages: Names of the locks in it whose packages are in the root.
        firmware: Names of those whose packages run before the disk.
        tools: Names of those that only the build used.
        uv_lock: The Python lock.
        project: The project in it whose run-time dependencies the root holds, and which is ours.
    """

    settled: Path
    packages: Sequence[str]
    firmware: Sequence[str]
    tools: Sequence[str]
    uv_lock: Path
    project: str

    def load(self, sets: Sequence[str]) -> list[Lock]:
        """The locks of some sets.

        Raises:
            LockFormatError: One cannot be read.
        """
        return [load_lock(self.settled / f"{name}.lock.json") for name in sets]


def describe(identity: Identity, folder: Path, root: Path, inputs: Inputs) -> None:
    """Write root files, SBOM and, over all that the folder then holds, the manifest.

    Args:
        identity: What names the image.
        folder: The deploy folder with everything else already in it.
        root: The root file system as a folder.
        inputs: What the image was made of.

    Raises:
        ManifestError: Folder or root are not as expected.
        LockFormatError, UvLockError: A lock cannot be read.
    """
    (folder / ROOTFS_FILES).write_text(encode_rootfs_files(root), encoding="utf-8")
    materials = {
        own_material(inputs.project, identity.version),
        *debian_materials(inputs.load(inputs.packages)),
        *debian_materials(inputs.load(inputs.firmware), firmware=True),
        *wheel_materials(inputs.uv_lock, inputs.project),
    }
    disk = sha256_of(folder / DISK)
    sbom = encode_sbom(identity.image, identity.version, disk, materials, identity.epoch)
    (folder / SBOM).write_text(sbom, encoding="utf-8")
    manifest = encode_manifest(
        identity,
        folder,
        kernel=_kernel(root),
        settled=inputs.settled,
        sets=(*inputs.packages, *inputs.firmware, *inputs.tools),
        uv_lock=inputs.uv_lock,
    )
    (folder / MANIFEST).write_text(manifest, encoding="utf-8")


def _kernel(root: Path) -> str:
    releases = sorted(path.name for path in (root / "usr/lib/modules").glob("*"))
    if len(releases) != 1:
        raise ManifestError(f"modules of {len(releases)} kernels in the root: {releases}")
    return releases[0]
