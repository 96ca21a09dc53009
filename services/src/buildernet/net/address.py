# SPDX-License-Identifier: MIT
"""Listen addresses: `HOST:PORT`, `[IPV6]:PORT`, or `:PORT` for every interface.

And of the addresses that are talked to: which of them need encryption.
"""

import ipaddress
from dataclasses import dataclass
from typing import Final, Self
from urllib.parse import urlsplit

from buildernet.base.errors import ConfigError
from buildernet.net.errors import AddressError

_MAX_PORT: Final = 65535
_WAYS_OUT: Final = "use https, a local end of an encrypted connection, or dangerously_plain"


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """Where a server listens; port 0 lets the kernel choose (tests)."""

    host: str | None
    """An IP address or `localhost`; None listens on every interface."""
    port: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a listen address.

        Raises:
            AddressError: The text has no port, a port outside 0..65535, or a host that is no IP
                address. Names other than `localhost` are refused: nothing should wait for DNS
                before it can listen.
        """
        host, colon, port = text.rpartition(":")
        if not colon or not (port.isascii() and port.isdigit()) or int(port[:6]) > _MAX_PORT:
            raise AddressError(
                f"listen address {text[:80]!r} is not HOST:PORT", hint="example: 0.0.0.0:3535"
            )
        if host in ("", "localhost"):
            return cls(host or None, int(port))
        bracketed = host.startswith("[") and host.endswith("]")
        try:
            address = ipaddress.ip_address(host[1:-1] if bracketed else host)
        except ValueError as exc:
            raise AddressError(f"listen address {text[:80]!r}: host is no IP address") from exc
        if bracketed != (address.version == 6):
            raise AddressError(f"listen address {text[:80]!r}: write IPv6 as [::1]:3535")
        return cls(str(address), int(port))

    @property
    def is_local(self) -> bool:
        """Whether this machine alone can connect."""
        return self.host is not None and is_local(self.host)

    def __str__(self) -> str:
        host = self.host or ""
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"


def require_encrypted(name: str, url: str, *, hint: str = _WAYS_OUT) -> None:
    """Check that what goes to a URL is encrypted, or does not leave this machine.

    Args:
        name: Of the setting.
        url: Its value; empty is nowhere.
        hint: What else to do.

    Raises:
        ConfigError: It is plain HTTP to another machine: nothing says who answers, and anyone on
            the way reads it.
    """
    try:
        parts = urlsplit(url)
    except ValueError as exc:
        raise ConfigError(f"{name} {url[:80]!r} is no URL") from exc
    if parts.scheme == "http" and parts.hostname and not is_local(parts.hostname):
        raise ConfigError(
            f"{name} {url[:80]!r} would go unencrypted to another machine",
            hint=hint,
        )


def is_local(host: str) -> bool:
    """Return whether what goes to a host, `localhost` or an IP address, stays on this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
