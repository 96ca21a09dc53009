# SPDX-License-Identifier: MIT
"""Errors of builder-hub.

```
BuildernetError
├── MigrationError, SealError, DatabaseError     commands and start
└── RequestError (net)
    ├── BadRequestError 400
    ├── InstanceRefusedError 403, empty body as the reference answers
    ├── ForbiddenError 403
    ├── UnknownError 404
    ├── ConflictError 409
    ├── UnprovedError 422
    ├── TooManyLoginsError 429  (written by the admin guard itself)
    └── UnavailableError 503
```
"""

from typing import ClassVar

from buildernet.base.errors import BuildernetError
from buildernet.net.errors import RequestError


class DatabaseError(BuildernetError):
    """The database cannot be opened or used."""


class MigrationError(BuildernetError):
    """The database's schema cannot be brought to this version."""


class SealError(BuildernetError):
    """Secrets cannot be encrypted or decrypted with the keys at hand."""


class BadRequestError(RequestError):
    """A request is malformed."""


class InstanceRefusedError(RequestError):
    """The caller is no active builder with an active measurement; the reason stays in our log."""

    status: ClassVar[int] = 403


class ForbiddenError(RequestError):
    """The request may not be made from there."""

    status: ClassVar[int] = 403


class UnknownError(RequestError):
    """There is nothing of this name or number."""

    status: ClassVar[int] = 404


class ConflictError(RequestError):
    """What is asked for contradicts what is there."""

    status: ClassVar[int] = 409


class UnprovedError(RequestError):
    """A credential or evidence is not proved."""

    status: ClassVar[int] = 422


class TooManyLoginsError(RequestError):
    """Passwords were guessed too often to look at another one now."""

    status: ClassVar[int] = 429


class UnavailableError(RequestError):
    """The database, or something else the hub needs, does not answer now."""

    status: ClassVar[int] = 503
