# SPDX-License-Identifier: MIT
"""Settings of `archive`; each is explained in docs/services/archive.md."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from buildernet.archive.clickhouse_server import ServerAddress
from buildernet.base.config import require_ranges
from buildernet.base.errors import ConfigError
from buildernet.ethereum.address import Address
from buildernet.ethereum.errors import AddressFormatError
from buildernet.net.address import ListenAddress, require_encrypted
from buildernet.net.http_url import parse_http_url

ENVIRONMENT_PREFIX: Final = "ARCHIVE_"

DEFAULT_OPERATOR_ADDR: Final = "127.0.0.1:14894"

_NETWORK: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_MIB: Final = 1 << 20
_HUB_HINT: Final = (
    "use https, or a local end of an encrypted connection: who answers names the senders"
)


@dataclass(frozen=True, slots=True)
class Sender:
    """A node that may send, besides those that the hub names."""

    name: str
    """Stands in the rows as the node's name."""
    address: str
    """What it signs with."""

    def __post_init__(self) -> None:
        if not 0 < len(self.name) <= 255:
            raise ConfigError("senders: a name has 1 to 255 characters")
        try:
            Address.parse(self.address)
        except AddressFormatError as exc:
            raise ConfigError(f"senders: {exc}") from exc


@dataclass(frozen=True, slots=True)
class General:
    """Where it listens and how it logs."""

    listen_addr: str = "127.0.0.1:14893"
    """HOST:PORT for the nodes."""
    operator_listen_addr: str = DEFAULT_OPERATOR_ADDR
    """HOST:PORT for questions, exports and metrics."""
    operator_token_file: Path | None = None
    """File with the token that questions must carry; demanded unless only this machine can ask."""
    certificate_file: Path | None = None
    """PEM chain: TLS 1.3, also for questions unless only this machine can ask. Read again when it
    changes."""
    private_key_file: Path | None = None
    """PEM key of it."""
    log_json: bool = True
    log_debug: bool = False

    def __post_init__(self) -> None:
        ListenAddress.parse(self.listen_addr)
        if not self.operator_is_local and self.operator_token_file is None:
            raise ConfigError(
                f"operator_listen_addr {self.operator_listen_addr} is reachable from outside, "
                "but questions need no token",
                hint="set operator_token_file, or listen on 127.0.0.1",
            )
        if (self.certificate_file is None) != (self.private_key_file is None):
            raise ConfigError("certificate_file and private_key_file belong together")

    @property
    def operator_is_local(self) -> bool:
        """Whether only this machine can ask."""
        return ListenAddress.parse(self.operator_listen_addr).is_local


@dataclass(frozen=True, slots=True)
class Storage:
    """Where the rows go."""

    data_dir: Path = Path("/var/lib/archive")
    """Folder of the embedded engine."""
    database_url: str = ""
    """A ClickHouse server to use instead of the embedded engine."""
    database_password_file: Path | None = None
    max_memory_mb: int = 4096
    """What the embedded engine may use."""
    retention_months: int = 0
    """Rows older than this are removed; 0 keeps them."""
    insert_interval_ms: int = 250
    max_waiting_mb: int = 128
    """Rows not yet on disk; above it senders are told to wait."""

    def __post_init__(self) -> None:
        if self.database_url:
            ServerAddress.parse(self.database_url)
        require_ranges(
            self,
            max_memory_mb=(512, 1 << 20),
            retention_months=(0, 1200),
            insert_interval_ms=(0, 10_000),
            max_waiting_mb=(16, 1 << 14),
        )

    @property
    def max_memory_bytes(self) -> int:
        """The engine's limit in bytes."""
        return self.max_memory_mb * _MIB


@dataclass(frozen=True, slots=True)
class Access:
    """Who may send."""

    hub_url: str = ""
    """Internal listener of the hub whose active builders may send; empty: only `senders`."""
    hub_network: str = "production"
    hub_refresh_s: int = 30

    def __post_init__(self) -> None:
        require_ranges(self, hub_refresh_s=(1, 3600))
        if self.hub_url:
            parse_http_url("access.hub_url", self.hub_url, schemes=("https", "http"))
            require_encrypted("access.hub_url", self.hub_url, hint=_HUB_HINT)
        if _NETWORK.fullmatch(self.hub_network) is None:
            raise ConfigError("hub_network is no plain name")


@dataclass(frozen=True, slots=True)
class Limits:
    """What senders together may cost."""

    max_connections: int = 256
    max_body_mb: int = 16
    request_timeout_s: int = 30
    idle_timeout_s: int = 90
    """Nodes keep their connection between batches."""
    max_requests: int = 16
    """Bodies read and decoded at once; above it senders are told to wait."""

    def __post_init__(self) -> None:
        require_ranges(
            self,
            max_connections=(1, 65536),
            max_body_mb=(1, 64),
            request_timeout_s=(1, 600),
            idle_timeout_s=(1, 3600),
            max_requests=(1, 1024),
        )

    @property
    def max_body_bytes(self) -> int:
        """The limit of one body in bytes."""
        return self.max_body_mb * _MIB


@dataclass(frozen=True, slots=True)
class ArchiveConfig:
    """The whole file."""

    general: General = field(default_factory=General)
    storage: Storage = field(default_factory=Storage)
    access: Access = field(default_factory=Access)
    limits: Limits = field(default_factory=Limits)
    senders: tuple[Sender, ...] = ()
