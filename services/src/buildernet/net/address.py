# SPDX-License-Identifier: MIT
"""Listen addresses: `HOST:PORT`, `[IPV6]:PORT`, or `:PORT` for every interface."""

import ipaddress
from dataclasses import dataclass
from typing import Final, Self

from buildernet.net.errors import AddressError

_MAX_PORT: Final = 65535


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

    def __str__(self) -> str:
        host = self.host or ""
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"
