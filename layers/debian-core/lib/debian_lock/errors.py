# SPDX-License-Identifier: MIT
"""Errors of the package lock: one tree, a message that names the cause, and a hint."""


class LockError(Exception):
    """Base of everything this package raises on bad input or a failed resolution.

    Args:
        message: What is wrong, with the place and the differing value.
        hint: What the reader can do about it.
    """

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class LockFormatError(LockError):
    """A lock file, a request file or a package index does not follow its format."""


class ResolveError(LockError):
    """apt could not read the archive or could not satisfy the requests."""


class PackageGoneError(LockError):
    """Pinned packages can be had neither from the mirror nor from the snapshot archive."""


class UnpackError(LockError):
    """A package archive is damaged, or a member would be written outside the destination."""
