# SPDX-License-Identifier: MIT
"""Locks and ``.deb`` files made up for tests."""

from __future__ import annotations

import hashlib
import io
import lzma
import tarfile
from typing import TYPE_CHECKING

from debian_lock.lock import Lock, Package

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def package(name: str, version: str = "1.0-1", archive: str = "debian") -> Package:
    pool = "pool/updates/main" if archive == "debian-security" else "pool/main"
    return Package(
        name=name,
        version=version,
        architecture="amd64",
        size=1000,
        sha256=hashlib.sha256(f"{name} {version}".encode()).hexdigest(),
        archive=archive,
        path=f"{pool}/{name[0]}/{name}/{name}_{version.rpartition(':')[2]}_amd64.deb",
    )


def lock(*packages: Package) -> Lock:
    return Lock(
        suite="trixie",
        architecture="amd64",
        snapshot="20260101T000000Z",
        mirrors={
            "debian": "http://deb.example/debian",
            "debian-security": "http://deb.example/debian-security",
        },
        requested=tuple(sorted(package.name for package in packages)),
        without=("perl-base",),
        packages=tuple(sorted(packages)),
    )


def member(
    name: str, content: bytes | None = b"x", **fields: object
) -> tuple[tarfile.TarInfo, bytes]:
    """A tar member: a file, or with ``content=None`` whatever ``type`` says."""
    info = tarfile.TarInfo(name)
    info.size = len(content or b"")
    info.mode = 0o644
    for field, value in fields.items():
        setattr(info, field, value)
    return info, content or b""


def folder(name: str, mode: int = 0o755) -> tuple[tarfile.TarInfo, bytes]:
    return member(name, None, type=tarfile.DIRTYPE, mode=mode)


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tuple[tarfile.TarInfo, bytes]:
    return member(name, None, type=kind, linkname=target)


def deb_bytes(members: Iterable[tuple[tarfile.TarInfo, bytes]]) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        for info, content in members:
            archive.addfile(info, io.BytesIO(content))
    parts = {
        "debian-binary": b"2.0\n",
        "control.tar.xz": lzma.compress(b"no control data"),
        "data.tar.xz": lzma.compress(data.getvalue()),
    }
    result = b"!<arch>\n"
    for name, part in parts.items():
        result += f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(part):<10}`\n".encode()
        result += part + b"\n" * (len(part) % 2)
    return result


def deb(path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    path.write_bytes(deb_bytes(members))
    return path
