# SPDX-License-Identifier: MIT
"""Errors of the attestation package."""

from buildernet.base.errors import BuildernetError

EXIT_BAD_INPUT = 2


class EventLogError(BuildernetError):
    """The bytes are not a TCG2 event log, are damaged, or exceed a limit."""

    exit_code = EXIT_BAD_INPUT


class DigestError(BuildernetError):
    """A value that should be a digest has the wrong length or is not hex."""

    exit_code = EXIT_BAD_INPUT
