# SPDX-License-Identifier: MIT
"""A copy of the working tree that builds by itself, elsewhere, from scratch.

It has its own sources, BitBake folder and Python environment; only downloads are taken over, by
hard link where the file system allows it. So a build in it can be varied, edited or thrown away
without touching the tree, and without the tree being able to change under it.
"""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

ROOT: Final = Path(__file__).resolve().parents[2]
DOWNLOADS: Final = ROOT / "build/downloads"
IMAGES: Final = ("buildernet-image", "buildernet-image-dev")
LOG_TAIL_LINES: Final = 20


class BuildFailedError(Exception):
    """kas or BitBake ended with an error."""


@dataclass(frozen=True, slots=True)
class BuildCopy:
    """One copy, below a folder of its own."""

    tree: Path

    @property
    def bitbake(self) -> Path:
        """BitBake's folder; deleting its `tmp` makes the next build one from scratch."""
        return self.tree / "build"

    @property
    def deploy(self) -> Path:
        """Where the images are left."""
        return self.tree / "build/deploy"

    @property
    def downloads(self) -> Path:
        """The copy's own folder of fetched files."""
        return self.tree / "build/downloads"

    def build(
        self,
        log: Path,
        targets: Sequence[str] = IMAGES,
        *,
        prefix: Sequence[str] = (),
        settings: Mapping[str, str] = MappingProxyType({}),
        umask: int = 0o022,
        report: Callable[[str], None] = lambda _line: None,
    ) -> float:
        """Build, and return how many seconds it took.

        Args:
            log: Gets everything that the build prints.
            targets: Recipes.
            prefix: Command that starts the build in other surroundings.
            settings: Further environment variables.
            umask: File mode creation mask of the build.
            report: Told every line as it comes.

        Raises:
            BuildFailedError: The build failed; the message ends with the log's last lines.
        """
        options = [option for target in targets for option in ("--target", target)]
        python = str(self.tree / ".venv/bin/python3")
        begun = time.monotonic()
        with (
            log.open("w") as output,
            subprocess.Popen(
                [*prefix, python, "-m", "kas", "build", "kas/debian.yml", *options],
                cwd=self.tree,
                env={**self._environment(), **settings},
                umask=umask,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
            ) as process,
        ):
            assert process.stdout is not None
            for line in process.stdout:
                output.write(line)
                report(line.rstrip())
        if process.returncode:
            tail = "".join(log.read_text().splitlines(keepends=True)[-LOG_TAIL_LINES:])
            raise BuildFailedError(f"the build ended with {process.returncode}; {log}:\n{tail}")
        return time.monotonic() - begun

    def _environment(self) -> dict[str, str]:
        """Nothing of the caller's environment but proxies."""
        proxies = {name: text for name, text in os.environ.items() if name.endswith("_proxy")}
        return {
            **proxies,
            "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
            "HOME": str(self.tree / "build/home"),
            "KAS_WORK_DIR": str(self.tree),
            "KAS_BUILD_DIR": str(self.bitbake),
            "DL_DIR": str(self.downloads),
            "PYTHONDONTWRITEBYTECODE": "1",
        }


def copy_tree(
    tree: Path, *, umask: int = 0o022, downloads: Path = DOWNLOADS, owner: str | None = None
) -> BuildCopy:
    """Copy what git knows of the working tree, changed and new files included.

    Args:
        tree: The copy's place, which must not exist yet.
        umask: File modes are those that a checkout under this umask would have.
        downloads: Fetched files to take over.
        owner: User to whom the copy is given; needs root.

    Raises:
        FileExistsError: There is something at the copy's place.
        OSError: The tree cannot be read or the copy cannot be written.
    """
    tree.mkdir(parents=True)
    # kas takes the top of a git repository for the project's folder.
    subprocess.run(["git", "init", "--quiet", str(tree)], check=True)
    before = os.umask(umask)
    try:
        for path in _known_to_git():
            target = tree / path
            target.parent.mkdir(parents=True, exist_ok=True)
            _copy(ROOT / path, target, 0o777 & ~umask)
        shutil.copytree(ROOT / ".venv", tree / ".venv", symlinks=True, copy_function=_link)
        # The launchers of the tree, which BitBake's launcher links to its own at its first start.
        for launchers in tree.glob(".venv/lib/python3.*/bin"):
            launchers.unlink()
        copy = BuildCopy(tree)
        for folder in (copy.downloads, tree / "build/home"):
            folder.mkdir(parents=True)
        _take_over(downloads, copy.downloads)
    finally:
        os.umask(before)
    if owner is not None:
        _give_away(tree, owner)
    return copy


def _give_away(tree: Path, owner: str) -> None:
    account = pwd.getpwnam(owner)
    for path in (tree, *tree.rglob("*")):
        status = path.lstat()
        # A second name of a file that is somebody else's stays theirs, and readable.
        if stat.S_ISDIR(status.st_mode) or status.st_nlink == 1:
            os.chown(path, account.pw_uid, account.pw_gid, follow_symlinks=False)


def _known_to_git() -> Iterable[Path]:
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout
    return (Path(os.fsdecode(name)) for name in names.split(b"\0") if name and _is_file(name))


def _is_file(name: bytes) -> bool:
    return os.path.lexists(ROOT / os.fsdecode(name))


def _copy(source: Path, target: Path, executable: int) -> None:
    if source.is_symlink():
        target.symlink_to(source.readlink())
        return
    shutil.copyfile(source, target)
    target.chmod(executable if source.stat().st_mode & 0o100 else executable & 0o666)


def _take_over(downloads: Path, target: Path) -> None:
    for path in downloads.iterdir() if downloads.is_dir() else ():
        if path.suffix == ".done":  # the fetcher writes here, so it must not be the same file
            shutil.copy2(path, target)
        elif path.is_file() and path.suffix != ".lock":
            _link(str(path), str(target / path.name))


def _link(source: str, target: str) -> None:
    """Give a file another name; where that is not allowed, copy it."""
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:
        shutil.copy2(source, target, follow_symlinks=False)
