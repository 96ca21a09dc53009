# SPDX-License-Identifier: MIT
"""Secrets on the command line: the list of processes shows them to everybody on the machine."""

import argparse
from urllib.parse import parse_qs, urlsplit

from buildernet.base.errors import UsageError


def refuse_password(arguments: argparse.Namespace) -> None:
    """Refuse a database's password among the arguments.

    Raises:
        UsageError: `--postgres-dsn` holds one.
    """
    try:
        parts = urlsplit(arguments.database_url or "")
        found = parts.password is not None or "password" in parse_qs(parts.query)
    except ValueError:  # refused where it is used
        return
    if found:
        raise UsageError(
            "--postgres-dsn holds a password, which the list of processes shows to everybody",
            hint="write the URL into a file and name it: database_url_file",
        )


def warnings(arguments: argparse.Namespace) -> list[str]:
    """Return what should not be among the arguments, and where it belongs."""
    if getattr(arguments, "admin.basic_password_bcrypt") is None:
        return []
    return [
        "--admin-basic-password-bcrypt is deprecated: the list of processes shows the hash to"
        " everybody; name a file with it: admin.basic_password_bcrypt_file"
    ]
