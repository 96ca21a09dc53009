# SPDX-License-Identifier: MIT
"""Unpacking packages into a folder: the files only, as any user, the same on every host.

Ownership is ignored and the set-user-ID and set-group-ID bits are dropped (the image gives every
file to root); maintainer scripts do not run. A later package never overwrites a file of an
earlier one: that is an error, so the result does not depend on luck.

Reference:
    deb(5): an ar archive of ``debian-binary``, ``control.tar.*`` and ``data.tar.*``.
"""

import concurrent.futures
import fnmatch
import io
import lzma
import os
import re
import stat
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from debian_lock.errors import UnpackError

# What no running system needs; `*` matches across slashes, as in dpkg's path-exclude.
DOCUMENTATION = (
    "usr/share/bash-completion*",
    "usr/share/bug*",
    "usr/share/doc/*",
    "usr/share/doc-base*",
    "usr/share/info*",
    "usr/share/lintian*",
    "usr/share/locale*",
    "usr/share/man*",
    "usr/share/zsh*",
)
# Licences require that the copyright notice travels with the program.
COPYRIGHT = ("usr/share/doc/*/copyright",)

# The kernel image, by far the largest package, unpacks to 120 MB; ten times that is a bomb.
MAX_DATA_BYTES = 2 << 30
# Packages decompressed ahead of the one being written: keeps two cores busy in little memory.
AHEAD = 3

_AR_MAGIC = b"!<arch>\n"
_AR_HEADER = 60


def unpack(
    packages: Iterable[Path],
    destination: Path,
    exclude: Sequence[str] = DOCUMENTATION,
    keep: Sequence[str] = COPYRIGHT,
) -> None:
    """Write the files of the packages below an (at first empty) folder, in the order given.

    Args:
        packages: The ``.deb`` files; their checksums are expected to have been checked.
        destination: Where the root folder of the packages is to be.
        exclude: Patterns of paths that are left out.
        keep: Patterns of paths that are written although ``exclude`` names them.

    Raises:
        UnpackError: A package is damaged, two packages hold the same file, or a member would be
            written outside the destination.
    """
    destination.mkdir(parents=True, exist_ok=True)
    tree = _Tree(destination, _matcher(exclude), _matcher(keep))
    for package, data in _decompressed(packages):
        try:
            with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
                for member in archive:
                    tree.add(archive, member)
        except (tarfile.TarError, OSError, ValueError, UnpackError) as error:
            raise UnpackError(f"{package.name}: {error}") from error


def _decompressed(packages: Iterable[Path]) -> Iterator[tuple[Path, bytes]]:
    """Each package's data archive; some are decompressed ahead, in threads (lzma frees the GIL)."""
    with concurrent.futures.ThreadPoolExecutor(AHEAD) as pool:
        waiting: list[tuple[Path, concurrent.futures.Future[bytes]]] = []
        for package in packages:
            waiting.append((package, pool.submit(read_data, package)))
            if len(waiting) > AHEAD:
                first, data = waiting.pop(0)
                yield first, data.result()
        for first, data in waiting:
            yield first, data.result()


def read_data(package: Path) -> bytes:
    """The package's data archive, decompressed.

    Raises:
        UnpackError: It is no Debian package, or is damaged, or unpacks to more than the limit.
    """
    try:
        name, packed = _data_member(package.read_bytes())
        if name == "data.tar":
            return packed
        if name != "data.tar.xz":
            raise UnpackError(f"{name}: only xz compression is known, which Debian's archive uses")
        decompressor = lzma.LZMADecompressor(lzma.FORMAT_XZ)
        data = decompressor.decompress(packed, MAX_DATA_BYTES)
        if not decompressor.eof:
            raise UnpackError(f"{name} is cut off or larger than {MAX_DATA_BYTES} bytes")
        return data
    except (OSError, lzma.LZMAError, UnpackError) as error:
        raise UnpackError(f"{package.name}: {error}") from error


def _data_member(deb: bytes) -> tuple[str, bytes]:
    """Name and content of the ar member that holds the files."""
    if not deb.startswith(_AR_MAGIC):
        raise UnpackError("not a Debian package")
    offset = len(_AR_MAGIC)
    while header := deb[offset : offset + _AR_HEADER]:
        length = header[48:58].strip(b" ")
        if len(header) < _AR_HEADER or header[58:] != b"`\n" or not length.isdigit():
            raise UnpackError("damaged ar header")
        start, size = offset + _AR_HEADER, int(length)
        name = header[:16].rstrip(b" /").decode("ascii", "replace")
        if start + size > len(deb):
            raise UnpackError(f"{name} is cut off")
        if name.startswith("data.tar"):
            return name, deb[start : start + size]
        offset = start + size + size % 2
    raise UnpackError("no data archive")


def _matcher(patterns: Sequence[str]) -> re.Pattern[str]:
    """One expression for all patterns; without any it matches nothing."""
    return re.compile("|".join(map(fnmatch.translate, patterns)) or r"(?!)")


class _Tree:
    """The destination, and the rule that nothing is ever written outside it."""

    def __init__(self, root: Path, exclude: re.Pattern[str], keep: re.Pattern[str]) -> None:
        self._root = root.resolve()
        self._exclude = exclude
        self._keep = keep
        self._folders: dict[str, Path] = {"": self._root}

    def add(self, archive: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        path = _relative(member.name)
        if not path or (self._exclude.match(path) and not self._keep.match(path)):
            return
        if member.isdir():
            self._add_folder(path, _mode(member))
            return
        target = self._place(path)
        if target.is_symlink() or target.exists():
            if member.issym() and target.is_symlink() and str(target.readlink()) == member.linkname:
                return
            raise UnpackError(f"{path}: another package holds this path")
        if member.isreg():
            self._write(archive, member, target)
        elif member.issym():
            target.symlink_to(member.linkname)
        elif member.islnk():
            source = self._place(_relative(member.linkname))
            if not stat.S_ISREG(source.lstat().st_mode):
                raise UnpackError(f"{path}: a hard link to something that is no file")
            target.hardlink_to(source)
        else:
            raise UnpackError(f"{path}: a device or pipe in a package")

    @staticmethod
    def _write(archive: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> None:
        source = archive.extractfile(member)
        if source is None:
            raise UnpackError(f"{member.name}: a file without content")
        with target.open("xb") as file:
            file.write(source.read())
            os.fchmod(file.fileno(), _mode(member))
        os.utime(target, (member.mtime, member.mtime))

    def _add_folder(self, path: str, mode: int) -> None:
        """Make the folder with the mode the first package to name it says."""
        if path not in self._folders:
            self._folder(path).chmod(mode)

    def _place(self, path: str) -> Path:
        """Where a member goes: its folder's real place, its own name not followed."""
        parent, _, name = path.rpartition("/")
        return self._folder(parent) / name

    def _folder(self, path: str) -> Path:
        """The real folder a path names, made where missing; links may not lead outside."""
        if (known := self._folders.get(path)) is not None:
            return known
        try:
            folder = self._place(path).resolve()
        except RuntimeError as error:  # how Python 3.11 reports a link that names itself
            raise UnpackError(f"{path}: a link leads in a circle") from error
        if not folder.is_relative_to(self._root):
            raise UnpackError(f"{path}: a link leads outside the destination")
        if not folder.is_dir():
            folder.mkdir()
            folder.chmod(0o755)
        self._folders[path] = folder
        return folder


def _mode(member: tarfile.TarInfo) -> int:
    return stat.S_IMODE(member.mode) & ~(stat.S_ISUID | stat.S_ISGID)


def _relative(name: str) -> str:
    """A member's path below the destination, without leading ``./``; empty for the root."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if name.startswith("/") or ".." in parts or "\0" in name:
        raise UnpackError(f"{name}: a path that leads outside the destination")
    return "/".join(parts)
