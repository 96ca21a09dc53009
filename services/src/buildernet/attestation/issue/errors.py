# SPDX-License-Identifier: MIT
"""Errors of making evidence."""

from buildernet.base.errors import BuildernetError


class IssueError(BuildernetError):
    """Evidence could not be made."""


class NoProviderError(IssueError):
    """This machine lacks the device or service that the evidence comes from."""


class QuoteUnavailableError(IssueError):
    """The device is there and gave no usable quote."""


class QuoteQueueFullError(IssueError):
    """Too many different quotes are waiting; the caller should try again later."""


class QuoteDeadlineError(IssueError):
    """The quote did not arrive in time."""


class TPMError(IssueError):
    """The TPM refused a command or answered nonsense."""


class AzureServiceError(IssueError):
    """Azure's instance metadata service gave no quote."""
