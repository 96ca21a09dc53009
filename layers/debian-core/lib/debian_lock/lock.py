# SPDX-License-Identifier: MIT
"""The lock file: every Debian package of one set, by name, version and checksum.

The file is JSON with one package per line, sorted by name, so that a refresh reads well in a diff.
It holds no volatile field: the same archive state and the same requests give the same bytes.

Header fields: ``schema``, ``suite``, ``architecture``, ``snapshot`` (a time stamp at which
snapshot.debian.org holds every package listed), ``mirrors`` (archive name to base URL),
``requested`` (the names asked for; the rest came by dependency) and ``without`` (dependencies
deliberately left out).
"""

import dataclasses
import itertools
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from debian_lock.errors import LockFormatError

SCHEMA = "debian-lock/1"
# A full desktop is about 3000 packages and 1 MB of lock; above this the file is not a lock.
MAX_LOCK_BYTES = 4 << 20
# The largest package in Debian 13 is about 2 GB; a size above 4 GiB is a damaged line.
MAX_PACKAGE_BYTES = 4 << 30
SNAPSHOT_SERVICE = "https://snapshot.debian.org/archive"

# Debian Policy 5.6.1 and 5.6.12; file names in a pool use the same characters and no epoch.
NAME = re.compile(r"[a-z0-9][a-z0-9+.-]{1,127}")
VERSION = re.compile(r"(?:[0-9]+:)?[0-9][A-Za-z0-9.+~-]{0,127}")
_PATH = re.compile(r"pool/(?:[A-Za-z0-9+_~-][A-Za-z0-9.+_~-]*/)+[a-z0-9][A-Za-z0-9.+_~-]*\.deb")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_SNAPSHOT = re.compile(r"[0-9]{8}T[0-9]{6}Z")
_WORD = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_URL = re.compile(r"https?://[^\s?#;]+[^\s?#;/]")


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class Package:
    """One pinned binary package.

    Attributes:
        name: Binary package name.
        version: Debian version with epoch.
        architecture: ``amd64`` or ``all``.
        size: Length of the ``.deb`` in bytes.
        sha256: Lower-case hex digest of the ``.deb``, from the signed package index.
        archive: Key into the lock's ``mirrors``: ``debian`` or ``debian-security``.
        path: Place below the mirror's base URL, ``pool/...``.
    """

    name: str
    version: str
    architecture: str
    size: int
    sha256: str
    archive: str
    path: str

    def uri(self, mirror: str) -> str:
        """The package's address below a mirror's base URL."""
        return f"{mirror.rstrip('/')}/{self.path}"

    @property
    def filename(self) -> str:
        """The last component of the pool path, unique per name, version and architecture."""
        return self.path.rpartition("/")[2]


@dataclasses.dataclass(frozen=True, slots=True)
class Lock:
    """A resolved package set; see the module's description for the fields."""

    suite: str
    architecture: str
    snapshot: str
    mirrors: Mapping[str, str]
    requested: tuple[str, ...]
    without: tuple[str, ...]
    packages: tuple[Package, ...]

    def uri(self, package: Package) -> str:
        """Where the mirror named in the lock holds the package."""
        return package.uri(self.mirrors[package.archive])

    def snapshot_uri(self, package: Package) -> str:
        """Where the Debian snapshot archive holds the package for good."""
        return package.uri(f"{SNAPSHOT_SERVICE}/{package.archive}/{self.snapshot}")

    def package(self, name: str) -> Package:
        """The package of that name.

        Raises:
            KeyError: The lock has none.
        """
        for package in self.packages:
            if package.name == name:
                return package
        raise KeyError(name)

    @property
    def size(self) -> int:
        """Bytes to download for the whole set."""
        return sum(package.size for package in self.packages)


def load_lock(path: Path | str) -> Lock:
    """Read and check a lock file.

    Raises:
        LockFormatError: The file cannot be read, or any field is not exactly as the format says.
    """
    path = Path(path)
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_LOCK_BYTES + 1)
    except OSError as error:
        hint = "`make pins` writes the lock files"
        raise LockFormatError(f"{path}: {error.strerror or error}", hint=hint) from error
    try:
        return parse_lock(data)
    except LockFormatError as error:
        raise LockFormatError(f"{path}: {error}", hint=error.hint) from error


def parse_lock(data: bytes) -> Lock:
    """Check the bytes of a lock file and return what they say.

    Raises:
        LockFormatError: Any field is not exactly as the format says.
    """
    if len(data) > MAX_LOCK_BYTES:
        raise LockFormatError(f"larger than {MAX_LOCK_BYTES} bytes, so it is no lock file")
    try:
        document = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        hint = "restore the file from git or run `make pins`"
        raise LockFormatError(f"not JSON: {error}", hint=hint) from error
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        raise LockFormatError(f"the schema is not {SCHEMA}")
    fields = {field.name for field in dataclasses.fields(Lock)} | {"schema"}
    _same_keys("header", set(document), fields)
    mirrors = document["mirrors"]
    if not isinstance(mirrors, dict) or not mirrors:
        raise LockFormatError("mirrors: an object of archive names and URLs is expected")
    for archive, url in mirrors.items():
        _match(_WORD, archive, "mirrors")
        _match(_URL, url, f"mirrors.{archive}")
    packages = tuple(_package(entry, mirrors) for entry in _list(document["packages"], "packages"))
    _ascending([package.name for package in packages], "packages")
    return Lock(
        suite=_match(_WORD, document["suite"], "suite"),
        architecture=_match(_WORD, document["architecture"], "architecture"),
        snapshot=_match(_SNAPSHOT, document["snapshot"], "snapshot"),
        mirrors=mirrors,
        requested=_names(document["requested"], "requested"),
        without=_names(document["without"], "without"),
        packages=packages,
    )


def save_lock(lock: Lock, path: Path | str) -> None:
    """Write the lock in its one canonical form, replacing the file in one step."""
    path = Path(path)
    fresh = path.with_name(path.name + ".new")
    fresh.write_text(dump_lock(lock), encoding="utf-8")
    fresh.replace(path)


def dump_lock(lock: Lock) -> str:
    """The lock's canonical text: header fields first, then one package per line."""
    header = {"schema": SCHEMA} | {
        field.name: getattr(lock, field.name)
        for field in dataclasses.fields(lock)
        if field.name != "packages"
    }
    header["mirrors"] = dict(lock.mirrors)
    lines = [f" {json.dumps(key)}: {json.dumps(value)}," for key, value in header.items()]
    packages = [f"  {json.dumps(dataclasses.asdict(package))}" for package in lock.packages]
    body = ",\n".join(packages)
    return "\n".join(["{", *lines, ' "packages": [', body, " ]", "}", ""])


def _package(entry: Any, mirrors: Mapping[str, str]) -> Package:
    if not isinstance(entry, dict):
        raise LockFormatError(f"packages: an object is expected, not {_show(entry)}")
    where = f"package {_show(entry.get('name'))}"
    _same_keys(where, set(entry), {field.name for field in dataclasses.fields(Package)})
    checks: dict[str, Callable[[str], bool]] = {
        "name": lambda value: bool(NAME.fullmatch(value)),
        "version": lambda value: bool(VERSION.fullmatch(value)),
        "architecture": lambda value: bool(_WORD.fullmatch(value)),
        "sha256": lambda value: bool(_SHA256.fullmatch(value)),
        "archive": lambda value: value in mirrors,
        "path": lambda value: bool(_PATH.fullmatch(value)),
    }
    for field, accepts in checks.items():
        value = entry[field]
        if not isinstance(value, str) or not accepts(value):
            raise LockFormatError(f"{where}: {field} is malformed: {_show(value)}")
    size = entry["size"]
    if type(size) is not int or not 0 < size <= MAX_PACKAGE_BYTES:
        raise LockFormatError(f"{where}: size is malformed: {_show(size)}")
    return Package(**entry)


def _same_keys(where: str, found: set[str], expected: set[str]) -> None:
    if found != expected:
        odd = ", ".join(sorted(found ^ expected))
        raise LockFormatError(f"{where}: missing or unknown fields: {odd}")


def _list(value: Any, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise LockFormatError(f"{where}: a list is expected, not {_show(value)}")
    return value


def _names(value: Any, where: str) -> tuple[str, ...]:
    names = tuple(_match(NAME, name, where) for name in _list(value, where))
    _ascending(names, where)
    return names


def _ascending(names: tuple[str, ...] | list[str], where: str) -> None:
    for before, after in itertools.pairwise(names):
        if before >= after:
            raise LockFormatError(f"{where}: {after} is repeated or out of order after {before}")


def _match(pattern: re.Pattern[str], value: Any, where: str) -> str:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise LockFormatError(f"{where} is malformed: {_show(value)}")
    return value


def _show(value: object) -> str:
    """A value shortened for an error message."""
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
