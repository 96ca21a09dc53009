# SPDX-License-Identifier: MIT
"""The one error tree; every package hangs its own errors below it.

```
BuildernetError            exit 1   something failed while working
├── ConfigError            exit 2   the configuration is wrong
├── UsageError             exit 2   the command line is wrong
├── LimitError             exit 1   an input is larger, longer or slower than its named limit
├── system_api.errors.*             the operator API
├── node.errors.*                   the in-guest commands
└── …                               one `errors.py` per package
```

Only a `cli.py` turns an error into an exit code: 0 done, 1 failed, 2 wrong usage or configuration,
130 interrupted by the user (128 + SIGINT).
"""

from typing import ClassVar, Final

EXIT_OK: Final = 0
EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 2
EXIT_INTERRUPTED: Final = 130


class BuildernetError(Exception):
    """Root of every error that a user of BuilderNet is meant to read.

    Attributes:
        message: One line naming the cause and the differing value.
        hint: What the user can do about it, or None.
        exit_code: What a command that ends with this error returns to the shell.
    """

    exit_code: ClassVar[int] = EXIT_FAILED

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return self.message


class ConfigError(BuildernetError):
    """The configuration file or environment is wrong."""

    exit_code = EXIT_USAGE


class UsageError(BuildernetError):
    """The command line asks for something that makes no sense."""

    exit_code = EXIT_USAGE


class LimitError(BuildernetError):
    """An input is larger, longer or slower than the limit the message names."""
