# SPDX-License-Identifier: MIT
"""Settings of `orderflow-proxy receiver`; each is explained in docs/services/orderflow-proxy.md."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from buildernet.base.config import require_ranges
from buildernet.base.errors import ConfigError
from buildernet.ethereum.address import Address
from buildernet.ethereum.errors import AddressFormatError
from buildernet.ethereum.validation import MAINNET_CHAIN_ID
from buildernet.net.address import ListenAddress, require_encrypted
from buildernet.net.http_url import parse_http_url, require_fetchable
from buildernet.orderflow_proxy.spool_segment import MAX_RECORD_BYTES

ENVIRONMENT_PREFIX: Final = "ORDERFLOW_PROXY_"

_FLASHBOTS: Final = "0x5015Fa72E34f75A9eC64f44a4Fcf0837919D1bB7"
"""What Flashbots' own sender signs with, as the Go proxy has it."""

_MAX_CHAIN_ID: Final = (1 << 53) - 1
"""What wallets written in JavaScript can name."""

_FORMS: Final = ("records", "order-events")

_MAX_BODY: Final = 64 * 1024 * 1024
"""Twice the Go proxy's limit; a body and what it turns into are held in memory."""

_MAX_ARCHIVED_BODY: Final = MAX_RECORD_BYTES - 4096
"""What is added to an order, and the record around it, has under 1 KiB."""

_PLAIN: Final = ("http",)
_ANY: Final = ("http", "https")


@dataclass(frozen=True, slots=True)
class Listen:
    """Table `[listen]`: where it listens."""

    user_addr: str = "127.0.0.1:5543"
    """HOST:PORT for users; HAProxy stands in front at 443."""
    system_addr: str = "127.0.0.1:5542"
    """HOST:PORT for peers and Flashbots; HAProxy stands in front at 5544."""
    metrics_addr: str = "127.0.0.1:8090"
    """HOST:PORT of /metrics in plain HTTP; empty for nowhere: users must not read it."""
    certificate_file: Path | None = None
    """PEM chain: both listeners speak TLS 1.3 themselves. Read again when it changes."""
    private_key_file: Path | None = None
    """PEM key of it."""
    trust_forwarded_for: bool = True
    """Take a client's name for the log from X-Forwarded-For when loopback sends it."""

    def __post_init__(self) -> None:
        for address in (self.user_addr, self.system_addr, self.metrics_addr or ":0"):
            ListenAddress.parse(address)
        if (self.certificate_file is None) != (self.private_key_file is None):
            raise ConfigError("certificate_file and private_key_file belong together")


@dataclass(frozen=True, slots=True)
class Builder:
    """Table `[builder]`: the local builder and its Ethereum node."""

    endpoint: str = "http://127.0.0.1:8645"
    """JSON-RPC of the builder; empty: orders go to peers alone."""
    ready_endpoint: str = ""
    """Base URL whose /readyz says whether the builder takes orders; empty: not asked."""
    rpc_endpoint: str = "http://127.0.0.1:8545"
    """JSON-RPC with eth_blockNumber; empty: orders expire by time alone."""
    dangerously_plain: bool = False
    """Send orders unencrypted to a builder on another machine."""
    chain_id: int = MAINNET_CHAIN_ID
    """The chain whose transactions are taken (EIP-155)."""

    def __post_init__(self) -> None:
        require_ranges(self, chain_id=(1, _MAX_CHAIN_ID))
        if not self.dangerously_plain:
            for name in ("endpoint", "ready_endpoint", "rpc_endpoint"):
                require_encrypted(f"builder.{name}", getattr(self, name))


@dataclass(frozen=True, slots=True)
class Peering:
    """Table `[peering]`: who the other nodes are, and who this one is."""

    hub_endpoint: str = ""
    """Base URL of the builder hub, normally the attested client; empty: no hub."""
    dangerously_plain: bool = False
    """Ask a hub on another machine without encryption: nothing says that it is the hub."""
    peers_file: Path | None = None
    """JSON file with peers instead of a hub, for development."""
    node_name: str = ""
    """This node's name at the hub, so that it never sends to itself; `-` counts as `_`."""
    signing_key_file: Path | None = None
    """Key that signs what this node sends; by default a new one at each start."""
    registered_certificate_file: Path | None = None
    """PEM of the certificate that HAProxy shows, registered at the hub whenever it changes."""
    address_file: Path | None = None
    """Where the address of that key is written at the start, for whoever attests it."""
    flashbots_address: str = _FLASHBOTS
    """Signer that may send to the system side besides the peers."""
    connections_per_peer: int = 10
    """Connections that are kept to one peer at most."""
    update_interval_s: int = 30
    """How often the list of peers is fetched."""
    forward: bool = True
    """Send users' orders to the peers."""

    def __post_init__(self) -> None:
        require_ranges(
            self,
            connections_per_peer=(1, 1024),
            update_interval_s=(1, 3600),
        )
        if self.hub_endpoint and self.peers_file is not None:
            raise ConfigError("hub_endpoint and peers_file exclude one another")
        if not self.dangerously_plain:
            require_encrypted("peering.hub_endpoint", self.hub_endpoint)
        try:
            Address.parse(self.flashbots_address)
        except AddressFormatError as exc:
            raise ConfigError(f"flashbots_address: {exc}") from exc


@dataclass(frozen=True, slots=True)
class Evidence:
    """Table `[evidence]`: what the peers of the hub's list must prove to this node."""

    measurements: Path | None = None
    """Images that peers may run, in any published form; read again when it changes."""
    dangerously_trust_hub: bool = False
    """Believe the hub's list without evidence, whatever else stands here: whoever runs the hub can
    then have all orders sent to himself."""
    max_age_s: int = 3600
    """Older evidence proves nothing; nodes make it anew every 20 minutes."""
    collateral: Path | None = None
    """File with collateral in any known form; nothing is fetched then."""
    pccs_url: str | None = None
    """Where collateral is fetched; Intel's own service by default."""
    collateral_dir: Path | None = None
    """Where fetched collateral is kept over a restart; nowhere by default."""
    trust_root: Path | None = None
    """PEM or DER of a root to believe instead of Intel's; for simulated hardware."""
    override_azure_outdated_tcb: bool = False
    """Take OutOfDate platforms, which Azure's hosts often are."""

    def __post_init__(self) -> None:
        require_ranges(self, max_age_s=(60, 7 * 86_400))
        require_fetchable("evidence.pccs_url", self.pccs_url)

    def require_decision(self) -> None:
        """Raise `ConfigError` unless it says what peers must prove."""
        if self.measurements is None and not self.dangerously_trust_hub:
            raise ConfigError(
                "nothing says which images the peers of the hub may run",
                hint="set evidence.measurements to a file of measurements; or, for a hub that"
                " passes on no evidence, evidence.dangerously_trust_hub",
            )


@dataclass(frozen=True, slots=True)
class Archive:
    """Table `[archive]`: the redistribution archive and what waits for it on disk."""

    endpoint: str = ""
    """Base URL of the archive; empty: nothing is archived."""
    spool_dir: Path = Path("/var/lib/orderflow-proxy/spool")
    """What the archive has not yet confirmed."""
    spool_max_mb: int = 10_240
    """Most the spool may hold."""
    reject_above_mb: int = 1024
    """Users are refused with `Disk full` above this."""
    resume_below_mb: int = 512
    """And served again below this."""
    form: str = "records"
    """`records` for our archive, `order-events` for the reference's."""
    sync_interval_ms: int = 100
    """How often records are made to survive a loss of power; 0: each at once; -1: never."""
    authority_file: Path | None = None
    """PEM of who vouches for the archive's certificate; the system's authorities by default."""
    dangerously_plain: bool = False
    """Send orders unencrypted to another machine."""

    def __post_init__(self) -> None:
        if self.form not in _FORMS:
            raise ConfigError(f"archive form {self.form!r} is unknown", hint=f"known: {_FORMS}")
        require_ranges(
            self,
            sync_interval_ms=(-1, 60_000),
            spool_max_mb=(1, 1 << 24),
            reject_above_mb=(1, self.spool_max_mb),
            resume_below_mb=(0, self.reject_above_mb),
        )


@dataclass(frozen=True, slots=True)
class Limits:
    """Table `[limits]`: what one client may cost."""

    max_body_bytes: int = 10 * 1024 * 1024
    """Of a JSON-RPC request; /orderflow/share has its own, 1 MiB."""
    max_txs_per_bundle: int = 100
    """Transactions of one bundle."""
    orders_per_second: int = 500
    """Of one signer on the user side; 0 for no limit."""
    max_user_connections: int = 4096
    """Open at once on the user side."""
    max_system_connections: int = 4096
    """Open at once on the system side."""
    idle_timeout_s: int = 65
    """A connection may be idle, or sending its headers, for this long."""
    request_timeout_s: int = 30
    """A request may take this long, its body included."""
    duplicate_ttl_s: int = 60
    """How long an order is remembered as taken."""
    duplicate_capacity: int = 1_048_576
    """How many orders are remembered at most."""
    accept_gzip: bool = False
    """Take bodies with Content-Encoding: gzip."""

    def __post_init__(self) -> None:
        require_ranges(
            self,
            max_body_bytes=(1024, _MAX_BODY),
            max_txs_per_bundle=(1, 100),
            orders_per_second=(0, 1_000_000),
            max_user_connections=(1, 65536),
            max_system_connections=(1, 65536),
            idle_timeout_s=(1, 3600),
            request_timeout_s=(1, 600),
            duplicate_ttl_s=(1, 3600),
            duplicate_capacity=(1, 1 << 24),
        )


@dataclass(frozen=True, slots=True)
class Logging:
    """Table `[logging]`: how it logs."""

    log_json: bool = True
    """JSON lines, or text for a person."""
    log_debug: bool = False
    """One line per request."""


@dataclass(frozen=True, slots=True)
class ReceiverConfig:
    """The whole file."""

    listen: Listen = field(default_factory=Listen)
    builder: Builder = field(default_factory=Builder)
    peering: Peering = field(default_factory=Peering)
    evidence: Evidence = field(default_factory=Evidence)
    archive: Archive = field(default_factory=Archive)
    limits: Limits = field(default_factory=Limits)
    logging: Logging = field(default_factory=Logging)

    def __post_init__(self) -> None:
        """Check what was not checked of endpoints, and what settings of two tables say together.

        Raises:
            ConfigError: An endpoint is no URL, or two settings do not go together.
        """
        builder, archive = self.builder, self.archive
        for name, url, schemes in (
            ("builder.endpoint", builder.endpoint, _PLAIN),
            ("builder.ready_endpoint", builder.ready_endpoint, _PLAIN),
            ("builder.rpc_endpoint", builder.rpc_endpoint, _ANY),
            ("peering.hub_endpoint", self.peering.hub_endpoint, _ANY),
            ("archive.endpoint", archive.endpoint, _ANY),
        ):
            if url:
                parse_http_url(name, url, schemes=schemes)
        if not archive.endpoint:
            return
        if self.limits.max_body_bytes > _MAX_ARCHIVED_BODY:
            raise ConfigError(
                f"limits.max_body_bytes is {self.limits.max_body_bytes}, with an archive at most"
                f" {_MAX_ARCHIVED_BODY}",
                hint="the archive takes no larger record",
            )
        if archive.form == "order-events" and not builder.rpc_endpoint:
            raise ConfigError(
                "archive.form order-events needs builder.rpc_endpoint",
                hint="a raw transaction has no form there without a block number",
            )
