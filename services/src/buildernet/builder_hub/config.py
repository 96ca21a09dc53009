# SPDX-License-Identifier: MIT
"""Settings of `builder-hub`; each is explained in docs/services/builder-hub.md."""

from dataclasses import dataclass, field
from pathlib import Path

from buildernet.base.config import require_ranges
from buildernet.base.errors import ConfigError
from buildernet.builder_hub.identity import parse_networks
from buildernet.builder_hub.names import SERVICES, is_service
from buildernet.net.address import ListenAddress
from buildernet.net.http_url import require_fetchable


@dataclass(frozen=True, slots=True)
class AdminConfig:
    """Table `[admin]`: who may change the registry."""

    basic_user: str = "admin"
    basic_password_bcrypt: str = field(default="", repr=False)
    """bcrypt hash of the password; empty lets nobody in."""
    basic_password_bcrypt_file: Path | None = None
    """File with that hash, instead."""
    dangerously_disable_auth: bool = False
    """Let in whoever reaches the admin listener, which must be on the loopback interface."""


@dataclass(frozen=True, slots=True)
class SecretsConfig:
    """Table `[secrets]`: how builders' secrets are kept."""

    key_file: Path | None = None
    """Keys that encrypt secrets, one a line, the newest first."""
    in_memory: bool = False
    """Encrypt with a key that is lost at the end; for trials."""


@dataclass(frozen=True, slots=True)
class AttestationConfig:
    """Table `[attestation]`: what is demanded of instances."""

    trusted_proxies: tuple[str, ...] = ("127.0.0.0/8", "::1")
    """Addresses or networks of the attested proxy, whose headers are believed."""
    proxy_secret_file: Path | None = None
    """Secret that the attested proxy shows, without which its headers are not believed."""
    max_evidence_age_s: int = 3600
    """Older evidence is neither taken nor passed on."""
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
    dangerously_accept_unproved_registrations: bool = False
    """Take certificates and keys without proof that the caller holds them, as the reference."""
    dangerously_lenient_as_reference: bool = False
    """Take any text as `tls_cert`, and show the internal lists on the instance listener."""
    dangerously_accept_unattested_measurements: bool = False
    """Take measurements without registers, and types that no hardware vouches for."""
    extra_services: tuple[str, ...] = ()
    """Further names that instances may register for."""

    def __post_init__(self) -> None:
        require_ranges(self, max_evidence_age_s=(60, 7 * 86400))
        parse_networks(self.trusted_proxies)
        require_fetchable("attestation.pccs_url", self.pccs_url)
        for name in self.extra_services:
            if not is_service(name):
                raise ConfigError(f"extra service {name!r} is no name of a service")

    @property
    def services(self) -> frozenset[str]:
        """Every name that instances may register for."""
        return frozenset((*SERVICES, *self.extra_services))


@dataclass(frozen=True, slots=True)
class LoggingConfig:
    """Table `[logging]`."""

    log_json: bool = False
    log_debug: bool = False


@dataclass(frozen=True, slots=True)
class HubConfig:
    """The whole file."""

    listen_addr: str = "127.0.0.1:8080"
    """Instance API; the attested proxy forwards to it."""
    internal_addr: str = "127.0.0.1:8082"
    """Internal API: lists without authentication, for the operator's own machines."""
    admin_addr: str = "127.0.0.1:8081"
    """Admin API and pages."""
    metrics_addr: str = "127.0.0.1:8090"
    """Prometheus; empty for nowhere."""
    database_url: str = field(default="sqlite:///builder-hub.sqlite", repr=False)
    """`postgres://…` or `sqlite:///FILE`."""
    database_url_file: Path | None = None
    """File with that URL, instead: it may hold a password."""
    migrate_at_start: bool = True
    """Bring the schema up to date before listening."""
    drain_seconds: int = 15
    """How long an answer to `/drain` takes, so that a load balancer notices first."""
    event_retention_days: int = 365
    """Events older than this are forgotten; the audit never is."""
    admin: AdminConfig = AdminConfig()
    secrets: SecretsConfig = SecretsConfig()
    attestation: AttestationConfig = AttestationConfig()
    logging: LoggingConfig = LoggingConfig()

    def __post_init__(self) -> None:
        for address in (self.listen_addr, self.internal_addr, self.admin_addr):
            ListenAddress.parse(address)
        if self.metrics_addr:
            ListenAddress.parse(self.metrics_addr)
        require_ranges(
            self,
            drain_seconds=(0, 300),
            event_retention_days=(1, 36500),
        )
        if self.admin.dangerously_disable_auth and not is_loopback(self.admin_addr):
            raise ConfigError(
                f"admin authentication is off, but {self.admin_addr} is not a loopback address",
                hint="listen on 127.0.0.1, or set a password",
            )


def is_loopback(address: str) -> bool:
    """Whether an address is reached from this machine alone."""
    return ListenAddress.parse(address).is_local
