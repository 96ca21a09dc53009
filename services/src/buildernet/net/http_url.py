# SPDX-License-Identifier: MIT
"""URLs of settings, looked at when they are read and not when they are first needed."""

import re
from collections.abc import Sequence
from typing import Final
from urllib.parse import SplitResult, urlsplit

from buildernet.base.errors import ConfigError
from buildernet.net.address import require_encrypted

HOST_NAME: Final = re.compile(
    r"(?=.{1,253}$)(?:[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?(?:\.(?!$)|$))+", re.ASCII
)
"""Labels of 1 to 63 characters: others make the resolver raise what is no OSError."""


_PLAIN: Final = re.compile(r"[!-~]{1,2048}")
"""What a URL is written in; a space or line break in its path would be one in a request."""


def parse_http_url(name: str, text: str, *, schemes: Sequence[str] = ("http",)) -> SplitResult:
    """Read a URL with a host that can be asked for, and without a password.

    Args:
        name: Of the setting.
        text: Its value.
        schemes: What it may begin with.

    Raises:
        ConfigError: It is something else.
    """
    try:
        parts = urlsplit(text)
        host = parts.hostname or ""
        usable = parts.scheme in schemes and parts.port != 0 and bool(_PLAIN.fullmatch(text))
    except ValueError:
        usable = False
    if not usable or "@" in parts.netloc or not (":" in host or HOST_NAME.fullmatch(host)):
        raise ConfigError(
            f"{name} {text[:80]!r} is no {' or '.join(schemes)} URL",
            hint=f"example: {schemes[0]}://127.0.0.1:8545",
        )
    return parts


def require_fetchable(name: str, text: str | None) -> None:
    """Check a URL for what `net.fetch` takes; None is a default that it takes.

    Args:
        name: Of the setting.
        text: Its value.

    Raises:
        ConfigError: It is neither https nor http to this machine.
    """
    if text is not None:
        parse_http_url(name, text, schemes=("https", "http"))
        require_encrypted(name, text, hint="use https, or one on this machine")
