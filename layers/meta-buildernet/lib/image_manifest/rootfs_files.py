# SPDX-License-Identifier: MIT
"""rootfs-files.json: every file of the root, for who compares two images or looks for one file.

The root belongs to user and group 0 throughout (mkfs.erofs --all-root), so owners are not listed.
"""

import hashlib
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from image_manifest.errors import ManifestError

SCHEMA = "buildernet-rootfs-files/1"


def encode_rootfs_files(root: Path) -> str:
    """The document for a root folder: one file a line, sorted by path.

    Raises:
        ManifestError: The root holds a device, pipe or socket.
    """
    lines = [f"  {json.dumps(entry)}" for entry in _entries(root)]
    return "\n".join(
        ["{", f' "schema": {json.dumps(SCHEMA)},', ' "files": [', ",\n".join(lines), " ]", "}", ""]
    )


def _entries(root: Path) -> Iterator[dict[str, Any]]:
    for path in sorted(root.rglob("*"), key=os.fspath):
        status = path.lstat()
        entry: dict[str, Any] = {"path": f"/{path.relative_to(root)}"}
        if stat.S_ISLNK(status.st_mode):
            yield entry | {"type": "symlink", "target": os.fspath(path.readlink())}
            continue
        mode = {"mode": f"{stat.S_IMODE(status.st_mode):04o}"}
        if stat.S_ISDIR(status.st_mode):
            yield entry | {"type": "directory"} | mode
        elif stat.S_ISREG(status.st_mode):
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            size = {"size": status.st_size, "sha256": digest}
            yield entry | {"type": "file"} | mode | size
        else:
            raise ManifestError(f"{entry['path']}: neither file, folder nor link")
