# SPDX-License-Identifier: MIT
"""A signed Debian archive of a few tiny packages, served on the loopback interface."""

from __future__ import annotations

import contextlib
import email.utils
import functools
import hashlib
import http.server
import os
import shutil
import subprocess
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from debian_lock.apt import Sources, debian

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

SUITES: Final = {
    "debian": ("trixie", "trixie-updates"),
    "debian-security": ("trixie-security",),
}
COMMAND_SECONDS: Final = 30


@dataclass(frozen=True, slots=True)
class Archive:
    """The archive's folder, where it is served, and the keys that sign it."""

    folder: Path
    url: str
    keys: Path

    @property
    def keyring(self) -> Path:
        """What apt checks the signatures with."""
        return self.keys / "keyring.gpg"

    @property
    def sources(self) -> Sources:
        """The archive as the lock's resolver wants it."""
        mirrors = (f"{self.url}/{name}" for name in SUITES)
        return debian("trixie", "amd64", *mirrors)

    def publish(self, versions: Mapping[str, str]) -> None:
        """Serve exactly these packages, by name and version."""
        for name, suites in SUITES.items():
            place = self.folder / name
            shutil.rmtree(place, ignore_errors=True)
            place.mkdir()
            packages = [_make_package(place, *each) for each in versions.items()]
            for suite in suites:
                self._write_suite(place / "dists" / suite, "".join(packages))
                packages = []  # the first suite has them all
            versions = {}  # and so has the first archive

    def _write_suite(self, dist: Path, packages: str) -> None:
        index = dist / "main/binary-amd64/Packages"
        index.parent.mkdir(parents=True)
        index.write_text(packages)
        digest = hashlib.sha256(packages.encode()).hexdigest()
        (dist / "Release").write_text(
            f"Suite: {dist.name}\nCodename: {dist.name}\nDate: {email.utils.formatdate()}\n"
            "Architectures: amd64\nComponents: main\nSHA256:\n"
            f" {digest} {len(packages)} main/binary-amd64/Packages\n"
        )
        _gpg(self.keys, "--output", dist / "InRelease", "--clear-sign", dist / "Release")


@contextlib.contextmanager
def serve_archive(folder: Path) -> Iterator[Archive]:
    """An archive below a folder, empty until something is published."""
    served, keys = folder / "served", folder / "keys"
    served.mkdir()
    keys.mkdir(mode=0o700)
    handler = functools.partial(_Quiet, directory=str(served))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            identity = "Archive of a test <nobody@example.org>"
            _gpg(keys, "--quick-generate-key", identity, "ed25519", "sign", "never")
            _gpg(keys, "--output", keys / "keyring.gpg", "--export")
            yield Archive(served, f"http://127.0.0.1:{server.server_address[1]}", keys)
        finally:
            subprocess.run(["gpgconf", "--homedir", keys, "--kill", "gpg-agent"], check=False)
            server.shutdown()
            thread.join()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


def _make_package(archive: Path, name: str, version: str) -> str:
    """Put a package that holds one file into the pool; its stanza of the index."""
    tree = archive / "tree"
    (tree / "DEBIAN").mkdir(parents=True)
    control = f"Package: {name}\nVersion: {version}\nArchitecture: amd64\n"
    maintainer = "Maintainer: Nobody <nobody@example.org>\nDescription: of a test\n"
    (tree / "DEBIAN/control").write_text(control + maintainer)
    (tree / "usr/share").mkdir(parents=True)
    (tree / "usr/share" / name).write_text(f"{version}\n")
    path = f"pool/main/{name[0]}/{name}/{name}_{version}_amd64.deb"
    target = archive / path
    target.parent.mkdir(parents=True)
    command = ["dpkg-deb", "--root-owner-group", "--build", str(tree), str(target)]
    subprocess.run(
        command,
        check=True,
        # The same content gives the same package, so that one that stays keeps its checksum.
        env={"PATH": os.environ["PATH"], "SOURCE_DATE_EPOCH": "0"},
        stdout=subprocess.DEVNULL,
        timeout=COMMAND_SECONDS,
    )
    shutil.rmtree(tree)
    data = target.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    return f"{control}Filename: {path}\nSize: {len(data)}\nSHA256: {digest}\n\n"


def _gpg(home: Path, *arguments: Path | str) -> None:
    command = ["gpg", "--batch", "--quiet", "--homedir", home, "--passphrase", "", *arguments]
    environment = {"PATH": os.environ["PATH"]}
    subprocess.run(command, check=True, env=environment, timeout=COMMAND_SECONDS)
