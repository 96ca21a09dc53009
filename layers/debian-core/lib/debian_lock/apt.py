# SPDX-License-Identifier: MIT
"""Resolving a request list with the host's apt, cut off from the host's own apt state.

apt sees only the given sources, an empty dpkg status and an own scratch folder, so the result
depends on the signed archive alone. Signatures are checked with Debian's archive keyring; the
checksums that enter the lock are those of the indices apt has verified against them. Works with
the apt of Debian 12 and 13, as root or not; no package is downloaded.
"""

import dataclasses
import datetime
import os
import subprocess
import urllib.parse
from collections.abc import Mapping, Sequence
from pathlib import Path

from debian_lock.errors import ResolveError
from debian_lock.index import read_packages, release_date
from debian_lock.lock import Lock, Package
from debian_lock.requests import Requests

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
# Indices are 10 MB; a mirror that needs longer than this is as good as down.
UPDATE_SECONDS = 300
# apt's resolver takes a third of a second for these sets.
RESOLVE_SECONDS = 60
# The snapshot archive imports several times a day, so the state of a release is in it one day
# later at the latest, and the mirror keeps superseded packages longer than a day.
SNAPSHOT_DELAY = datetime.timedelta(days=1)


@dataclasses.dataclass(frozen=True, slots=True)
class Source:
    """One archive: its name in the lock, its base URL, and the suites taken from it."""

    archive: str
    url: str
    suites: tuple[str, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Sources:
    """Everything a set may be resolved from; ``main`` only."""

    suite: str
    architecture: str
    archives: tuple[Source, ...]

    @property
    def mirrors(self) -> dict[str, str]:
        """Archive names and their base URLs, as the lock records them."""
        return {source.archive: source.url for source in self.archives}


def debian(
    suite: str = "trixie",
    architecture: str = "amd64",
    mirror: str = "http://deb.debian.org/debian",
    security_mirror: str = "http://deb.debian.org/debian-security",
) -> Sources:
    """Debian's stable archive with its updates and its security archive."""
    return Sources(
        suite,
        architecture,
        (
            Source("debian", mirror, (suite, f"{suite}-updates")),
            Source("debian-security", security_mirror, (f"{suite}-security",)),
        ),
    )


class Apt:
    """apt with its own indices below ``scratch``; ``update`` once, then resolve many sets."""

    def __init__(self, sources: Sources, scratch: Path, keyring: Path = KEYRING) -> None:
        self._sources = sources
        self._keyring = keyring
        self._root = scratch.resolve()
        self._lists = self._root / "lists"
        self._status = self._root / "status"
        self._packages: dict[tuple[str, str], Package] = {}
        self._snapshot = ""

    def update(self) -> None:
        """Download and verify the indices.

        Raises:
            ResolveError: The mirror cannot be reached, or a signature or checksum is wrong.
        """
        if not self._keyring.is_file():
            hint = "install the Debian package debian-archive-keyring"
            raise ResolveError(f"{self._keyring}: no such keyring", hint=hint)
        for folder in (self._lists / "partial", self._root / "cache/archives/partial"):
            folder.mkdir(parents=True, exist_ok=True)
        (self._root / "debian.sources").write_text(self._deb822(), encoding="utf-8")
        (self._root / "apt.conf").write_text(self._configuration(), encoding="utf-8")
        # What `without` declares as installed stays as it is, even though the archive has it too.
        (self._root / "preferences").write_text(
            "Package: *\nPin: release a=now\nPin-Priority: 1001\n", encoding="utf-8"
        )
        self._status.write_text("")
        self._run("apt-get", ["update"], UPDATE_SECONDS)
        self._read_indices()

    def resolve(self, requests: Requests) -> Lock:
        """The requested packages and what they depend on, recommendations not included.

        Raises:
            ResolveError: A name is unknown, the requests conflict, or a package in ``without`` is
                needed by nothing.
        """
        packages = self._closure(requests.names, "")
        if requests.without:
            needed = {package.name for package in packages}
            if stale := [name for name in requests.without if name not in needed]:
                raise ResolveError(f"nothing needs what is left out: {', '.join(stale)}")
            stanzas = self._run("apt-cache", ["show", "--no-all-versions", *requests.without])
            packages = self._closure(requests.names, _as_installed(stanzas))
        return Lock(
            suite=self._sources.suite,
            architecture=self._sources.architecture,
            snapshot=self._snapshot,
            mirrors=self._sources.mirrors,
            requested=requests.names,
            without=requests.without,
            packages=tuple(sorted(packages)),
        )

    def _closure(self, names: Sequence[str], installed: str) -> list[Package]:
        """What apt would install on a system whose dpkg status is ``installed``."""
        self._status.write_text(installed, encoding="utf-8")
        output = self._run("apt-get", ["install", "--print-uris", "--yes", *names])
        self._status.write_text("")
        lines = [line.split() for line in output.splitlines() if line.startswith("'")]
        return [self._at(words[0].strip("'")) for words in lines]

    def _at(self, url: str) -> Package:
        for archive, base in self._sources.mirrors.items():
            if url.startswith(f"{base}/"):
                path = urllib.parse.unquote(url.removeprefix(f"{base}/"))
                if package := self._packages.get((archive, path)):
                    return package
        raise ResolveError(f"apt names a package that is in no index: {url}")

    def _read_indices(self) -> None:
        dates = []
        for source in self._sources.archives:
            for suite in source.suites:
                stem = f"{source.url}/dists/{suite}/".partition("://")[2].replace("_", "%5f")
                stem = stem.replace("/", "_")
                release = self._lists / f"{stem}InRelease"
                dates.append(release_date(release.read_text(encoding="utf-8")))
                index = self._lists / f"{stem}main_binary-{self._sources.architecture}_Packages"
                # apt keeps no file of an empty index, such as that of a new release's updates.
                for package in read_packages(index, source.archive) if index.exists() else ():
                    self._packages[source.archive, package.path] = package
        self._snapshot = (max(dates) + SNAPSHOT_DELAY).strftime("%Y%m%dT%H%M%SZ")

    def _run(self, program: str, arguments: Sequence[str], seconds: int = RESOLVE_SECONDS) -> str:
        environment = {
            **{key: value for key, value in os.environ.items() if key.lower().endswith("_proxy")},
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "LC_ALL": "C.UTF-8",
            "APT_CONFIG": str(self._root / "apt.conf"),
        }
        what = f"{program} {arguments[0]}"
        command = [program, "--quiet=2", *arguments]
        try:
            run = subprocess.run(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=seconds,
                check=False,
            )
        except FileNotFoundError as error:
            raise ResolveError(f"{program} is not installed; it comes with Debian") from error
        except subprocess.TimeoutExpired as error:
            raise ResolveError(f"{what}: no end after {seconds} s") from error
        if run.returncode:
            detail = "\n".join(filter(None, (run.stdout.strip(), run.stderr.strip())))
            raise ResolveError(f"{what} failed:\n{detail}")
        return run.stdout

    def _deb822(self) -> str:
        return "\n".join(
            f"Types: deb\nURIs: {source.url}\nSuites: {' '.join(source.suites)}\nComponents: main\n"
            f"Architectures: {self._sources.architecture}\nSigned-By: {self._keyring}\n"
            for source in self._sources.archives
        )

    def _configuration(self) -> str:
        """apt.conf: every path apt would take from the host points into the scratch folder."""
        settings: Mapping[str, Path | str] = {
            "Dir::Etc::Main": "/dev/null",
            "Dir::Etc::Parts": "/dev/null",
            "Dir::Etc::SourceList": "/dev/null",
            "Dir::Etc::SourceParts": self._root,
            "Dir::Etc::Preferences": self._root / "preferences",
            "Dir::Etc::PreferencesParts": "/dev/null",
            "Dir::Etc::Trusted": "/dev/null",
            "Dir::Etc::TrustedParts": "/dev/null",
            "Dir::State": self._root,
            "Dir::State::Lists": self._lists,
            "Dir::State::Status": self._status,
            "Dir::Cache": self._root / "cache",
            "Dir::Log": self._root / "log",
            "APT::Architecture": self._sources.architecture,
            "APT::Architectures": self._sources.architecture,
            "APT::Install-Recommends": "false",
            "APT::Install-Suggests": "false",
            # As root apt would switch to the user _apt, who may not enter the scratch folder.
            "APT::Sandbox::User": "",
            # A suite that cannot be read is an error, not a warning.
            "APT::Update::Error-Mode": "any",
            "Acquire::Languages": "none",
            "Acquire::Retries": "3",
        }
        return "".join(f'{key} "{value}";\n' for key, value in settings.items())


def _as_installed(stanzas: str) -> str:
    """Package stanzas as those of an installed system that need nothing themselves."""
    kept = ("Package:", "Version:", "Architecture:", "Multi-Arch:", "Provides:")
    lines = [line for line in stanzas.splitlines() if not line or line.startswith(kept)]
    text = "\n".join([*lines, ""])
    return text.replace("Package:", "Status: install ok installed\nPackage:")
