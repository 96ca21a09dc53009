# SPDX-License-Identifier: MIT
"""From ``uv.lock`` to the wheels of a project's run-time dependencies.

Markers and wheel tags are evaluated for the platform of the image, not for the running Python, by
the ``packaging`` library.

Reference:
    https://docs.astral.sh/uv/concepts/projects/layout/#the-lockfile (lock format version 1)
"""

import dataclasses
import re
import tomllib
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from packaging.markers import InvalidMarker, Marker, UndefinedComparison, UndefinedEnvironmentName
from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import InvalidWheelFilename, parse_wheel_filename

# The lock of this project has a hundred packages and 300 kB; far above this it is not a lock.
MAX_LOCK_BYTES = 16 << 20
_SHA256 = re.compile(r"sha256:([0-9a-f]{64})")
# The oldest glibc that PEP 600 knows a wheel tag for on x86-64.
_OLDEST_GLIBC_MINOR = 5
_LEGACY_MANYLINUX = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}


class UvLockError(Exception):
    """The lock cannot be read, or pins no wheel that fits; ``hint`` says what to do."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


@dataclasses.dataclass(frozen=True, slots=True)
class Platform:
    """Where the wheels are to run: CPython on Linux x86-64; the defaults are Debian 13."""

    python: str = "3.13.5"
    glibc_minor: int = 41

    def environment(self) -> dict[str, str]:
        """The marker variables, all of them, so that nothing of the build host shines through."""
        return {
            "extra": "",
            "implementation_name": "cpython",
            "implementation_version": self.python,
            "os_name": "posix",
            "platform_machine": "x86_64",
            "platform_python_implementation": "CPython",
            "platform_release": "",
            "platform_system": "Linux",
            "platform_version": "",
            "python_full_version": self.python,
            "python_version": ".".join(self.python.split(".")[:2]),
            "sys_platform": "linux",
        }

    def tags(self) -> dict[Tag, int]:
        """The wheel tags that fit, each with its rank; lower is better."""
        names = []
        for glibc in range(self.glibc_minor, _OLDEST_GLIBC_MINOR - 1, -1):
            names.append(f"manylinux_2_{glibc}_x86_64")
            if glibc in _LEGACY_MANYLINUX:
                names.append(f"{_LEGACY_MANYLINUX[glibc]}_x86_64")
        names.append("linux_x86_64")
        major, minor = (int(part) for part in self.python.split(".")[:2])
        short = f"cp{major}{minor}"
        tags = [
            *cpython_tags((major, minor), abis=[short], platforms=names),
            *compatible_tags((major, minor), interpreter=short, platforms=names),
        ]
        return {tag: rank for rank, tag in reversed(list(enumerate(tags)))}


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class Wheel:
    """One pinned wheel: ``sha256`` in lower-case hex, ``url`` where PyPI serves it."""

    name: str
    version: str
    filename: str
    url: str
    sha256: str


def locked_wheels(path: Path | str, project: str, platform: Platform | None = None) -> list[Wheel]:
    """The wheels a project needs at run time on the platform, sorted by name.

    Args:
        path: The ``uv.lock``.
        project: Name of the locked project; it is not itself in the result.
        platform: Where the wheels are to run.

    Raises:
        UvLockError: The lock is unreadable, or a dependency has no wheel that fits.
    """
    platform = platform or Platform()
    try:
        lock = _Lock(_load(path), platform.environment())
        closure = lock.closure(project)
        tags = platform.tags()
        return sorted(_choose(package, tags) for package in closure)
    except (KeyError, TypeError, AttributeError) as error:
        raise UvLockError(f"{path}: not in the form uv writes: {error!r}") from error
    except UvLockError as error:
        raise UvLockError(f"{path}: {error}", hint=error.hint) from error


def named_wheels(
    path: Path | str, names: Sequence[str], platform: Platform | None = None
) -> list[Wheel]:
    """The wheels of the packages named, without their dependencies, sorted by name.

    Raises:
        UvLockError: The lock is unreadable, or a package is not in it or has no wheel that fits.
    """
    platform = platform or Platform()
    try:
        lock = _Lock(_load(path), platform.environment())
        tags = platform.tags()
        return sorted(_choose(lock.find({"name": name}), tags) for name in names)
    except (KeyError, TypeError, AttributeError) as error:
        raise UvLockError(f"{path}: not in the form uv writes: {error!r}") from error
    except UvLockError as error:
        raise UvLockError(f"{path}: {error}", hint=error.hint) from error


def pinned_versions(path: Path | str) -> dict[str, tuple[str, str]]:
    """Every package of the lock: name to versions (several where the lock forks) and checksums."""
    pins: dict[str, tuple[str, str]] = {}
    try:
        for package in _load(path)["package"]:
            if "registry" in package["source"]:
                files = [*package.get("wheels", ()), *filter(None, [package.get("sdist")])]
                hashes = " ".join(sorted(file["hash"].removeprefix("sha256:") for file in files))
                old = pins.get(package["name"])
                version = package["version"]
                pins[package["name"]] = (
                    (f"{old[0]}, {version}", f"{old[1]} {hashes}") if old else (version, hashes)
                )
    except (KeyError, TypeError, AttributeError) as error:
        raise UvLockError(f"{path}: not in the form uv writes: {error!r}") from error
    return pins


def _load(path: Path | str) -> dict[str, Any]:
    try:
        with Path(path).open("rb") as stream:
            data = stream.read(MAX_LOCK_BYTES + 1)
        if len(data) > MAX_LOCK_BYTES:
            raise UvLockError(f"{path}: larger than {MAX_LOCK_BYTES} bytes")
        lock = tomllib.loads(data.decode("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UvLockError(f"{path}: cannot be read: {error}", hint="run `uv lock`") from error
    if lock.get("version") != 1:
        raise UvLockError(f"{path}: lock format version 1 is expected")
    return lock


class _Lock:
    """The dependency graph of a lock, seen from one platform."""

    def __init__(self, lock: Mapping[str, Any], environment: Mapping[str, str]) -> None:
        self._environment = dict(environment)
        self._packages: dict[str, list[Mapping[str, Any]]] = {}
        for package in lock["package"]:
            self._packages.setdefault(package["name"], []).append(package)

    def closure(self, project: str) -> list[Mapping[str, Any]]:
        """What the project needs, directly or not, without the project."""
        root = self.find({"name": project})
        found: dict[str, Mapping[str, Any]] = {}
        waiting = list(self._needs(root, ()))
        seen = set()
        while waiting:
            dependency = waiting.pop()
            extras = tuple(dependency.get("extra", ()))
            package = self.find(dependency)
            if (package["name"], extras) not in seen and package is not root:
                seen.add((package["name"], extras))
                found[package["name"]] = package
                waiting += self._needs(package, extras)
        return list(found.values())

    def _needs(
        self, package: Mapping[str, Any], extras: Sequence[str]
    ) -> Iterator[Mapping[str, Any]]:
        optional = package.get("optional-dependencies", {})
        for group in (package.get("dependencies", ()), *(optional[extra] for extra in extras)):
            for dependency in group:
                if self._applies(dependency.get("marker")):
                    yield dependency

    def _applies(self, marker: str | None) -> bool:
        try:
            return marker is None or Marker(marker).evaluate(self._environment)
        except (InvalidMarker, UndefinedComparison, UndefinedEnvironmentName) as error:
            raise UvLockError(f"marker {marker!r}: {error}") from error

    def find(self, dependency: Mapping[str, Any]) -> Mapping[str, Any]:
        """The one locked package a dependency names; uv adds the version where the lock forks."""
        name, version = dependency["name"], dependency.get("version")
        candidates = self._packages.get(name, [])
        if version is not None:
            candidates = [package for package in candidates if package["version"] == version]
        if len(candidates) != 1:
            raise UvLockError(f"{name}: {len(candidates)} locked packages where one is expected")
        return candidates[0]


def _choose(package: Mapping[str, Any], tags: Mapping[Tag, int]) -> Wheel:
    """The package's best wheel."""
    ranked = []
    for wheel in package.get("wheels", ()):
        url = urllib.parse.urlsplit(wheel["url"])
        filename = urllib.parse.unquote(url.path).rpartition("/")[2]
        try:
            _, _, _, offered = parse_wheel_filename(filename)
        except InvalidWheelFilename as error:
            raise UvLockError(f"{package['name']}: {error}") from error
        ranks = [tags[tag] for tag in offered if tag in tags]
        if ranks:
            ranked.append((min(ranks), filename, wheel))
    if not ranked:
        hint = "choose a version that has one, or take the package from Debian"
        raise UvLockError(f"{package['name']} {package['version']}: no wheel that fits", hint=hint)
    _, filename, wheel = min(ranked, key=lambda entry: entry[:2])
    digest = _SHA256.fullmatch(wheel["hash"])
    if digest is None or urllib.parse.urlsplit(wheel["url"]).scheme != "https":
        raise UvLockError(f"{filename}: an https URL and a sha256 are expected")
    return Wheel(package["name"], package["version"], filename, wheel["url"], digest[1])
