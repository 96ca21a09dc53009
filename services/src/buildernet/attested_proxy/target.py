# SPDX-License-Identifier: MIT
"""Addresses of what lies behind a proxy, in every spelling the reference tools take."""

from dataclasses import dataclass
from typing import Final, Self

from yarl import URL

from buildernet.base.errors import ConfigError

_HTTPS_PORT: Final = 443
_SEPARATOR: Final = "://"


@dataclass(frozen=True, slots=True)
class Target:
    """A server, and a path on it."""

    url: URL

    @classmethod
    def parse(cls, text: str, *, default_scheme: str) -> Self:
        """Read a URL or `HOST[:PORT][/PATH]`.

        Raises:
            ConfigError: It is neither, names no host, or has user, query or fragment.
        """
        whole = text if _SEPARATOR in text else f"{default_scheme}{_SEPARATOR}{text}"
        try:
            url = URL(whole)
            port = url.port
        except ValueError as exc:
            raise ConfigError(f"address {text[:80]!r}: {exc}") from exc
        if url.scheme not in ("http", "https") or not url.host or not port:
            raise ConfigError(
                f"address {text[:80]!r} is no HTTP address", hint="example: https://1.2.3.4:7936"
            )
        if url.user or url.query_string or url.fragment:
            raise ConfigError(f"address {text[:80]!r} has more than host, port and path")
        return cls(url)

    @property
    def host(self) -> str:
        """Name or IP address."""
        return self.url.host or ""

    @property
    def port(self) -> int:
        """TCP port."""
        return self.url.port or _HTTPS_PORT

    @property
    def authority(self) -> str:
        """Host, and the port unless it is the scheme's own, as `Host` says it."""
        return self.url.host_port_subcomponent or ""
