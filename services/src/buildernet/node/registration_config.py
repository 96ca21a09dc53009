# SPDX-License-Identifier: MIT
"""Settings of `buildernet-node registration`; each is explained in docs/services/node.md."""

import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from buildernet.attestation.issue.tsm import DEFAULT_BASE
from buildernet.base.config import require_ranges
from buildernet.base.errors import ConfigError
from buildernet.net.address import require_encrypted
from buildernet.net.http_url import parse_http_url

ENVIRONMENT_PREFIX: Final = "NODE_REGISTRATION_"


@dataclass(frozen=True, slots=True)
class RegistrationConfig:
    """The whole file."""

    hub_endpoint: str = "http://127.0.0.1:7937"
    """Base URL of the hub, plain HTTP: the attested client of this machine, and no other."""
    certificate_dir: Path = Path("/run/attested-proxy")
    """Holds `cert.pem` and `key.pem`, as attested-proxy leaves them."""
    address_file: Path | None = None
    """Holds the address orderflow-proxy signs with; without it none is attested."""
    ip_address: str = ""
    """Where the hub sees this node; empty: the address that its packets leave with."""
    measurements_file: Path | None = None
    """Where this machine's own measurements are written, for services that take its like alone."""
    tsm_dir: Path = DEFAULT_BASE
    """Folder of configfs-tsm's reports."""
    interval_s: int = 1200
    """How often evidence is made anew; the hub passes on what is at most an hour old."""
    log_json: bool = True
    """JSON lines, or text for a person."""

    def __post_init__(self) -> None:
        require_ranges(self, interval_s=(1, 86_400))
        parse_http_url("hub_endpoint", self.hub_endpoint)
        require_encrypted("hub_endpoint", self.hub_endpoint, hint="the attested client's address")
        self.normal_ip_address()

    def normal_ip_address(self) -> str | None:
        """Return `ip_address` as the hub writes it; None when it is not set.

        Raises:
            ConfigError: It is none, or belongs to one link only.
        """
        if not self.ip_address:
            return None
        try:
            address = ipaddress.ip_address(self.ip_address)
        except ValueError as exc:
            raise ConfigError(f"ip_address {self.ip_address[:80]!r} is none") from exc
        if isinstance(address, ipaddress.IPv6Address):
            if address.scope_id:
                raise ConfigError(f"ip_address {self.ip_address[:80]!r} belongs to one link only")
            return str(address.ipv4_mapped or address)
        return str(address)
