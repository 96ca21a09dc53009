# SPDX-License-Identifier: MIT
"""Errors of system-api."""

from buildernet.base.errors import BuildernetError
from buildernet.net.errors import RequestError


class FifoError(BuildernetError):
    """The FIFO of events cannot be made or opened."""


class EventTooLongError(RequestError):
    """An event sent by HTTP is longer than one line of the FIFO may be."""

    status = 413


class NotMeasuredError(RequestError):
    """A file about the measured boot is not there, or is larger than it can be."""

    status = 404
