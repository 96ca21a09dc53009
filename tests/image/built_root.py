# SPDX-License-Identifier: MIT
"""Takes the root file system out of a deployed disk, with the pinned tools and without mounting."""

import subprocess
from pathlib import Path
from typing import Final

from tests.harness.artefacts import DeployedImage
from tests.harness.errors import MissingImageError
from tests.harness.gpt import find_partition

REPOSITORY: Final = Path(__file__).parents[2]
RUN_IN_BUILD_ROOT: Final = REPOSITORY / "layers/debian-core/bin/run-in-build-root"
COPY_BYTES: Final = 4 * 1024 * 1024
TIMEOUT_SECONDS: Final = 120


def run_in_build_root(work: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a pinned tool of the build root on files below `work`.

    Raises:
        MissingImageError: BitBake has not made the build root here.
    """
    build_root = REPOSITORY / "build/tmp/components/build-root"
    if not build_root.is_dir():
        raise MissingImageError("no build root below build/", hint="run `make image`")
    return subprocess.run(
        [RUN_IN_BUILD_ROOT, build_root, work, "--", *command],
        env={"SOURCE_DATE_EPOCH": "0", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )


def extract_root(image: DeployedImage, work: Path) -> Path:
    """The root file system of the disk as a folder, modes kept."""
    partition = find_partition(image.disk, "root")
    erofs = work / "root.erofs"
    with image.disk.open("rb") as disk, erofs.open("wb") as file:
        disk.seek(partition.offset_bytes)
        left = partition.size_bytes
        while left:
            chunk = disk.read(min(left, COPY_BYTES))
            file.write(chunk)
            left -= len(chunk)
    root = work / "root"
    options = ("--no-preserve-owner", "--preserve-perms", f"--extract={root}")
    result = run_in_build_root(work, "fsck.erofs", *options, str(erofs))
    assert result.returncode == 0, result.stderr
    return root
