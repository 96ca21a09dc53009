# SPDX-License-Identifier: MIT
"""Errors of the archive."""

from buildernet.base.errors import BuildernetError
from buildernet.net.errors import RequestError


class EngineError(BuildernetError):
    """The database engine refused or failed."""


class EngineFullError(EngineError):
    """The engine has no space left for more rows."""


class EngineUnavailableError(EngineError):
    """The engine cannot be opened or reached."""


class SchemaError(EngineError):
    """The tables are of another version than this program, or a migration was altered."""


class RecordContentError(RequestError):
    """A record's content cannot be kept: it is not what its kind promises."""


class UnknownSenderError(RequestError):
    """A request is not signed by a node that the archive knows."""

    status = 403


class UnauthorisedError(RequestError):
    """An operator's request carries no valid token."""

    status = 401


class QueryError(RequestError):
    """A question's parameters are wrong."""


class BusyError(RequestError):
    """The archive is behind: the sender keeps its batch and tries again."""

    status = 503


class RemoteError(BuildernetError):
    """A running archive cannot be reached, or refuses a question."""
