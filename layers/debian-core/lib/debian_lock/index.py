# SPDX-License-Identifier: MIT
"""Reading what apt has downloaded and verified: ``Packages`` indices and ``Release`` dates.

Reference:
    Debian repository format, https://wiki.debian.org/DebianRepository/Format
"""

import datetime
import email.utils
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from debian_lock.errors import LockFormatError
from debian_lock.lock import Package

# A release file's header is its first few lines; the signed checksums follow.
_RELEASE_HEADER_LINES = 40
_WANTED = ("Package", "Version", "Architecture", "Size", "SHA256", "Filename")


def stanzas(lines: Iterable[str]) -> Iterator[Mapping[str, str]]:
    """The stanzas of an index, reduced to the single-line fields a lock needs."""
    stanza: dict[str, str] = {}
    for line in lines:
        if line in ("\n", ""):
            if stanza:
                yield stanza
            stanza = {}
            continue
        field, colon, value = line.partition(":")
        if colon and field in _WANTED:
            stanza[field] = value.strip()
    if stanza:
        yield stanza


def read_packages(path: Path, archive: str) -> Iterator[Package]:
    """Every package of one ``Packages`` file.

    Raises:
        LockFormatError: A stanza lacks a field or its size is no number.
    """
    try:
        with path.open(encoding="utf-8") as lines:
            for stanza in stanzas(lines):
                yield _package(stanza, archive)
    except (OSError, UnicodeDecodeError, LockFormatError) as error:
        raise LockFormatError(f"{path}: {error}") from error


def _package(stanza: Mapping[str, str], archive: str) -> Package:
    try:
        return Package(
            name=stanza["Package"],
            version=stanza["Version"],
            architecture=stanza["Architecture"],
            size=int(stanza["Size"]),
            sha256=stanza["SHA256"],
            archive=archive,
            path=stanza["Filename"],
        )
    except (KeyError, ValueError) as error:
        where = stanza.get("Package", "a stanza without a name")
        raise LockFormatError(f"{where}: missing or malformed field: {error}") from error


def release_date(text: str) -> datetime.datetime:
    """The ``Date`` field of a (clear-signed) release file, in UTC.

    Raises:
        LockFormatError: There is none, or it is not a date.
    """
    for line in text.split("\n", _RELEASE_HEADER_LINES)[:_RELEASE_HEADER_LINES]:
        if line.startswith("Date: "):
            try:
                date = email.utils.parsedate_to_datetime(line.removeprefix("Date: ").strip())
                return date.astimezone(datetime.UTC)
            except (ValueError, OverflowError) as error:
                raise LockFormatError(f"release file: {line!r}: {error}") from error
    raise LockFormatError("release file: no Date field")
