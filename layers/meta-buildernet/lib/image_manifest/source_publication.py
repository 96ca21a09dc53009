# SPDX-License-Identifier: MIT
"""Writes what is said about an image that was built from source into its deploy folder.

Its bill of materials is the SPDX 3 document that openembedded-core writes beside it.
"""

from pathlib import Path

from image_manifest.manifest import MANIFEST, Identity, encode_document
from image_manifest.rootfs_files import encode_rootfs_files

ROOTFS_FILES = "rootfs-files.json"
# What pins every source: repositories by commit; recipes pin the rest by digest.
LOCKS = ("kas.yml", "kas.lock.yml")


def describe(identity: Identity, folder: Path, root: Path, tree: Path, kernel: str) -> None:
    """Write root files and, over all that the folder then holds, the manifest.

    Args:
        identity: What names the image.
        folder: The deploy folder with everything else already in it.
        root: The root file system as a folder.
        tree: Top of this repository.
        kernel: Kernel release.

    Raises:
        ManifestError: Folder or root are not as expected.
    """
    (folder / ROOTFS_FILES).write_text(encode_rootfs_files(root), encoding="utf-8")
    locks = [tree / name for name in LOCKS]
    manifest = encode_document(identity, folder, kernel, locks, {"as_locked": True})
    (folder / MANIFEST).write_text(manifest, encoding="utf-8")
