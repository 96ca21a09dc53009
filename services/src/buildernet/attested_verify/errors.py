# SPDX-License-Identifier: MIT
"""Errors of the command's own; everything else comes from `attestation` and `net`."""

from buildernet.base.errors import UsageError


class InputError(UsageError):
    """A file named on the command line cannot be read or is too large."""
