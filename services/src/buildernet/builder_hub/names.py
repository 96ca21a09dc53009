# SPDX-License-Identifier: MIT
"""Names and addresses as requests bring them: read once at the edge, legal afterwards."""

import ipaddress
import re
from typing import Final

from buildernet.builder_hub.errors import BadRequestError

SERVICES: Final = ("instance", "orderflow_proxy", "rbuilder")
"""What the nodes of BuilderNet register."""

PRODUCTION: Final = "production"

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_MEASUREMENT: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:+ -]{0,254}")
_SERVICE: Final = re.compile(r"[a-z][a-z0-9_]{0,31}")
_REGION: Final = re.compile(r"[ -~]{0,64}")
_LABEL: Final = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9])?"
_PORT: Final = r"(?::[1-9][0-9]{0,4})?"
_DNS: Final = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*\.?{_PORT}")
_ADDRESS: Final = re.compile(r"0[xX][0-9a-fA-F]{40}")

# Keys of an entry of the builder list: a service of that name would overwrite them.
RESERVED_SERVICES: Final = frozenset({"ip", "name", "dns_name"})


def parse_name(text: object, what: str) -> str:
    """Return the name of a builder or a network.

    Raises:
        BadRequestError: It is no text, empty, longer than 64, or has other characters.
    """
    return _match(_NAME, text, what)


def parse_measurement_name(text: object) -> str:
    """Return a measurement's name: published ones are file names, some with spaces.

    Raises:
        BadRequestError: As `parse_name`, at most 255 characters.
    """
    return _match(_MEASUREMENT, text, "measurement_id")


def parse_service(text: str, *, known: frozenset[str]) -> str:
    """Return the name of a service that is known here.

    Raises:
        BadRequestError: It is not.
    """
    _match(_SERVICE, text, "service")
    if text not in known:
        raise BadRequestError(
            f"unknown service {text}, known are: {', '.join(sorted(known))}",
            hint="name further ones in extra_services",
        )
    return text


def is_service(text: str) -> bool:
    """Whether a name may be used for a service at all."""
    return _SERVICE.fullmatch(text) is not None and text not in RESERVED_SERVICES


def parse_region(text: object) -> str:
    """Return a region, which may be empty."""
    return _match(_REGION, text, "region")


def parse_dns_name(text: object) -> str | None:
    """Return a DNS name, which may have a port; None for the empty text, which stands for none."""
    return None if text in ("", None) else _match(_DNS, text, "dns_name").lower()


def parse_ip(text: object, what: str = "ip_address") -> str:
    """Return an IP address in its normal form; an IPv4 address mapped into IPv6 becomes IPv4.

    Raises:
        BadRequestError: It is none.
    """
    try:
        if not isinstance(text, str) or "%" in text:
            raise ValueError("no text, or with a zone")
        address = ipaddress.ip_address(text)
    except ValueError as exc:
        raise BadRequestError(f"{what} is not an IP address") from exc
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)


def parse_address(text: object) -> str:
    """Return an Ethereum address in lower case; its checksum is not looked at, as before.

    Raises:
        BadRequestError: It is not `0x` and 40 hexadecimal digits.
    """
    return _match(_ADDRESS, text, "ecdsa_pubkey_address").lower()


def _match(pattern: re.Pattern[str], text: object, what: str) -> str:
    if not isinstance(text, str) or pattern.fullmatch(text) is None:
        raise BadRequestError(f"{what} is not of the form {pattern.pattern}")
    return text
