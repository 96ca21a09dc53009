# SPDX-License-Identifier: MIT
"""Settings of `attested-proxy`; each is explained in docs/services/attested-proxy.md."""

import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from buildernet.attestation.issue.azure import EVENT_LOG, QUOTE_URL
from buildernet.attested_proxy.evidence import AttestationType
from buildernet.base.config import require_ranges
from buildernet.base.errors import ConfigError
from buildernet.net.http_url import parse_http_url, require_fetchable

AUTO: Final = "auto"
_TYPES: Final = (AUTO, *AttestationType)
_ALL_TDX: Final = "tdx"
_SHA256_BYTES: Final = 32
_PROTOCOLS: Final = ("auto", "a", "b", "b+http/1.1", "b+h2")


@dataclass(frozen=True, slots=True)
class PeerPolicy:
    """What is demanded of the other end."""

    measurements: str | None = None
    """File or https URL with the measurements that are taken."""
    allowed_remote_attestation_type: str | None = None
    """`none` demands nothing; a type, or `tdx` for all, narrows what `measurements` allow."""
    dangerously_accept_any_measurement: bool = False
    """Take every image that real hardware vouches for."""
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
    azure_ak_roots: Path | None = None
    """PEM of roots to believe about Azure's vTPMs instead of Microsoft's; for simulated ones."""
    azure_ak_issuers: Path | None = None
    """PEM of intermediates that Azure peers do not send."""
    dangerously_accept_azure_without_ak_certificate: bool = False
    """Take protocol A documents whose vTPM key nobody certified, as cvm-reverse-proxy's."""

    def __post_init__(self) -> None:
        allowed = self.allowed_remote_attestation_type
        if allowed is not None and allowed not in (*AttestationType, _ALL_TDX):
            known = ", ".join((*AttestationType, _ALL_TDX))
            raise ConfigError(f"unknown attestation type {allowed!r}", hint=f"known: {known}")
        if self.measurements and allowed == AttestationType.NONE:
            raise ConfigError(
                "measurements are given, but peers without attestation are allowed",
                hint="leave out one of the two",
            )
        require_fetchable("pccs_url", self.pccs_url)

    @property
    def demands_nothing(self) -> bool:
        """Whether peers without evidence are taken."""
        return self.allowed_remote_attestation_type == AttestationType.NONE

    @property
    def accepted(self) -> frozenset[AttestationType]:
        """Types of evidence that are taken."""
        allowed = self.allowed_remote_attestation_type
        if allowed is None or allowed == _ALL_TDX:
            return frozenset(AttestationType) - {AttestationType.NONE}
        return frozenset({AttestationType(allowed)})

    @property
    def demands_evidence(self) -> bool:
        """Whether it says what evidence must show."""
        return bool(self.measurements) or self.dangerously_accept_any_measurement

    def require_decision(self) -> None:
        """Raise `ConfigError` unless it says what peers must prove."""
        if self.demands_nothing or self.demands_evidence:
            return
        raise ConfigError(
            "nothing says which peers are taken",
            hint="give measurements, or --allowed-remote-attestation-type none",
        )


@dataclass(frozen=True, slots=True)
class AzureSource:
    """Where the evidence of an Azure machine comes from."""

    tcti: str = "device:/dev/tpmrm0"
    """The vTPM, as tpm2-tss names it."""
    quote_url: str = QUOTE_URL
    """The host's quote service."""
    event_log: Path = EVENT_LOG
    """The firmware's log, sent along in protocol A; may be missing."""
    ak_issuers: Path | None = None
    """PEM of the intermediates to send along."""
    fetch_ak_issuers: bool = False
    """Fetch them at the start, from the addresses that the vTPM's certificate names."""

    def __post_init__(self) -> None:
        parse_http_url("azure.quote_url", self.quote_url)


@dataclass(frozen=True, slots=True)
class Limits:
    """What one peer may cost, before it is proved who it is and after."""

    handshake_timeout_s: int = 30
    """From TCP connection to verified peer; the reference gives evidence 30 s as well."""
    max_handshakes: int = 256
    """Connections that are not through their handshake; more are closed at once."""
    max_connections: int = 1024
    max_connections_per_address: int = 64
    """Open at once from one IP address, handshakes included."""
    idle_timeout_s: int = 90
    request_timeout_s: int = 300
    max_body_bytes: int = 1 << 30

    def __post_init__(self) -> None:
        require_ranges(
            self,
            handshake_timeout_s=(1, 300),
            max_handshakes=(1, 65536),
            max_connections=(1, 65536),
            max_connections_per_address=(1, 65536),
            idle_timeout_s=(1, 3600),
            request_timeout_s=(1, 86400),
            max_body_bytes=(0, 1 << 40),
        )


@dataclass(frozen=True, slots=True)
class Logging:
    """How it logs."""

    log_json: bool = False
    log_debug: bool = False


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """Settings of the server."""

    listen_addr: str = "127.0.0.1:8080"
    listen_addr_healthcheck: str = ""
    """Where health and metrics are served in plain HTTP; empty for nowhere."""
    target_addr: str = ""
    """URL that requests go to; a bare HOST:PORT means http."""
    target_secret_file: Path | None = None
    """Secret to show the target, so that it believes what we say about clients."""
    server_attestation_type: str = AUTO
    tls_certificate_path: Path | None = None
    tls_private_key_path: Path | None = None
    certificate_hosts: str = "localhost"
    """Names and addresses of the node, with commas, for the certificate the server makes."""
    certificate_dir: Path | None = None
    """Memory-backed folder where other services find that certificate and its key."""
    serve_certificate: bool = False
    """Answer `GET /cert` with the node's certificate instead of forwarding it."""
    tsm_dir: Path = Path("/sys/kernel/config/tsm/report")
    azure: AzureSource = AzureSource()
    peers: PeerPolicy = PeerPolicy()
    limits: Limits = Limits()
    logging: Logging = Logging()

    def __post_init__(self) -> None:
        _require_type(self.server_attestation_type)
        if (self.tls_certificate_path is None) != (self.tls_private_key_path is None):
            raise ConfigError("tls_certificate_path and tls_private_key_path belong together")
        if self.tls_certificate_path is not None and self.certificate_dir is not None:
            raise ConfigError("certificate_dir is for a certificate the server makes itself")
        if not self.target_addr and not self.serve_certificate:
            raise ConfigError("no target_addr, and serve_certificate is off: nothing to serve")


@dataclass(frozen=True, slots=True)
class ClientConfig:
    """Settings of the client."""

    target_addr: str
    """The attested server: URL or HOST[:PORT], port 443 unless named."""
    listen_addr: str = "127.0.0.1:8080"
    listen_addr_healthcheck: str = ""
    protocol: str = AUTO
    """`a`, `b`, `b+http/1.1`, `b+h2`, or `auto`: B first, then A."""
    client_attestation_type: str = AttestationType.NONE.value
    tls_certificate_path: Path | None = None
    """Our certificate in protocol B."""
    tls_private_key_path: Path | None = None
    verify_tls: bool = False
    """Ordinary TLS towards the server instead of attestation."""
    tls_ca_certificate: Path | None = None
    """PEM of who may vouch for the server's certificate, instead of whom the system believes."""
    server_certificate_sha256: str = ""
    """Fingerprints of the certificates that the server may show, with commas; no name or authority
    counts then."""
    dangerously_accept_unauthenticated_server: bool = False
    """Talk to a server that shows neither evidence nor a certificate that is verified."""
    tsm_dir: Path = Path("/sys/kernel/config/tsm/report")
    source_address: str = ""
    """IP address of this machine to connect from, by which a hub may know it."""
    max_server_connections: int = 32
    azure: AzureSource = AzureSource()
    peers: PeerPolicy = PeerPolicy()
    limits: Limits = Limits()
    logging: Logging = Logging()

    def __post_init__(self) -> None:
        _require_type(self.client_attestation_type)
        if self.protocol not in _PROTOCOLS:
            raise ConfigError(f"protocol is {self.protocol!r}, not {', '.join(_PROTOCOLS)}")
        if (self.tls_certificate_path is None) != (self.tls_private_key_path is None):
            raise ConfigError("tls_certificate_path and tls_private_key_path belong together")
        self._check_server_certificate()
        if self.source_address:
            try:
                ipaddress.ip_address(self.source_address)
            except ValueError as exc:
                raise ConfigError(f"source_address is no IP address: {exc}") from exc
        if self.verify_tls and self.peers.measurements:
            raise ConfigError("verify_tls replaces attestation: leave out the measurements")
        require_ranges(self, max_server_connections=(1, 4096))

    @property
    def pinned(self) -> frozenset[bytes]:
        """The SHA-256 of every certificate that the server may show.

        Raises:
            ConfigError: A fingerprint is none.
        """
        parts = [part.strip() for part in self.server_certificate_sha256.split(",")]
        try:
            found = [bytes.fromhex(part.replace(":", "")) for part in parts if part]
        except ValueError:
            found = [b""]
        if any(len(one) != _SHA256_BYTES for one in found):
            raise ConfigError(
                "server_certificate_sha256 holds no SHA-256 in hexadecimal",
                hint="openssl x509 -in certificate.pem -noout -fingerprint -sha256",
            )
        return frozenset(found)

    @property
    def names_certificate(self) -> bool:
        """Whether it says which certificate the server must show."""
        return bool(self.server_certificate_sha256) or self.tls_ca_certificate is not None

    def _check_server_certificate(self) -> None:
        if self.pinned and (self.tls_ca_certificate is not None or self.verify_tls):
            raise ConfigError(
                "server_certificate_sha256 replaces tls_ca_certificate and verify_tls",
                hint="leave out one of them",
            )
        if self.dangerously_accept_unauthenticated_server and (
            self.names_certificate or self.verify_tls
        ):
            raise ConfigError(
                "dangerously_accept_unauthenticated_server contradicts what is demanded",
                hint="leave out one of them",
            )
        if self.protocol == "a" and self.names_certificate:
            raise ConfigError(
                "protocol A shows a certificate of its own on every connection",
                hint="a server that is known by its certificate needs protocol b",
            )


def _require_type(kind: str) -> None:
    if kind not in _TYPES:
        raise ConfigError(f"unknown attestation type {kind!r}", hint=f"known: {', '.join(_TYPES)}")
