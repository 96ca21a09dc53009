# SPDX-License-Identifier: MIT
"""Turn the list of open ports into an nftables ruleset.

Runs at build time: the ruleset is part of the measured image. Same input, same bytes.

Reference: nft(8); RFC 4890 (which ICMPv6 a host must let through).
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from buildernet.base import config
from buildernet.node.errors import PortListError

VARIANTS: Final = ("production", "development")
_PROTOCOLS: Final = ("tcp", "udp")
_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,31}")
_PURPOSE: Final = re.compile(r"[A-Za-z0-9 ,.:;()/-]{1,80}")
"""Goes into an nftables comment, at most 128 bytes between double quotes."""

_MAX_PORT: Final = 65535

_TEMPLATE: Final = """\
#!/usr/sbin/nft -f
# Made by `buildernet-node firewall` for the {variant} image. Do not edit.
flush ruleset

table inet buildernet {{
	chain input {{
		type filter hook input priority filter; policy drop;
		ct state vmap {{ established : accept, related : accept, invalid : drop }}
		iif "lo" accept comment "services of this node among themselves"
		icmp type {{ destination-unreachable, time-exceeded, parameter-problem }} accept
		icmp type echo-request limit rate 10/second accept
		icmpv6 type {{ destination-unreachable, packet-too-big }} accept
		icmpv6 type {{ time-exceeded, parameter-problem }} accept
		icmpv6 type echo-request limit rate 10/second accept
		ip6 hoplimit 255 icmpv6 type {{ nd-router-advert, nd-neighbor-solicit }} accept
		ip6 hoplimit 255 icmpv6 type nd-neighbor-advert accept
		udp sport 67 udp dport 68 accept comment "DHCP replies"
		ip6 saddr fe80::/10 udp sport 547 udp dport 546 accept comment "DHCPv6 replies"
{rules}
		counter comment "dropped"
	}}

	chain forward {{
		type filter hook forward priority filter; policy drop;
	}}

	chain output {{
		# Open: a node calls peers, relays and time servers whose addresses change.
		type filter hook output priority filter; policy accept;
	}}
}}
"""


@dataclass(frozen=True, slots=True)
class Port:
    """One port the node listens on for others."""

    name: str
    """Short name of what listens."""
    port: int
    protocol: str
    """`tcp` or `udp`."""
    service: str
    """The unit that listens, without `.service`."""
    purpose: str
    """Who calls and why, in one phrase."""
    images: tuple[str, ...]
    """`production`, `development` or both."""

    def __post_init__(self) -> None:
        """Check every field.

        Raises:
            PortListError: A field is outside what an nftables rule may hold.
        """
        for key, value, pattern in (
            ("name", self.name, _NAME),
            ("service", self.service, _NAME),
            ("purpose", self.purpose, _PURPOSE),
        ):
            if not pattern.fullmatch(value):
                raise PortListError(f"{key} {value[:100]!r} does not match {pattern.pattern}")
        if not 1 <= self.port <= _MAX_PORT:
            raise PortListError(f"port {self.port} of {self.name} is not in 1..{_MAX_PORT}")
        if self.protocol not in _PROTOCOLS:
            raise PortListError(f"protocol {self.protocol!r} of {self.name} is not tcp or udp")
        if not self.images or not set(self.images) <= set(VARIANTS):
            raise PortListError(f"images of {self.name}: some of {', '.join(VARIANTS)} expected")


@dataclass(frozen=True, slots=True)
class PortList:
    """The whole file: an array of tables `[[port]]`."""

    port: tuple[Port, ...]

    def __post_init__(self) -> None:
        """Check the ports against each other.

        Raises:
            PortListError: A port is listed twice.
        """
        seen: dict[tuple[str, int], str] = {}
        for port in self.port:
            other = seen.setdefault((port.protocol, port.port), port.name)
            if other is not port.name:
                raise PortListError(
                    f"{port.port}/{port.protocol} is listed for {other} and {port.name}"
                )

    def of(self, variant: str) -> list[Port]:
        """Return the ports open in an image, sorted by protocol and number."""
        ports = [port for port in self.port if variant in port.images]
        return sorted(ports, key=lambda port: (port.protocol, port.port))


def read_ports(path: Path) -> PortList:
    """Read the list of open ports.

    Raises:
        ConfigError: The file cannot be read, or is wrong.
    """
    return config.load(PortList, path=path)


def ruleset(ports: PortList, *, variant: str) -> str:
    """Return the nftables ruleset of an image: everything dropped but the listed ports.

    Args:
        ports: The list of open ports.
        variant: `production` or `development`.
    """
    rules = "\n".join(
        f'\t\t{port.protocol} dport {port.port} accept comment "{port.name}: {port.purpose}"'
        for port in ports.of(variant)
    )
    return _TEMPLATE.format(variant=variant, rules=rules)
