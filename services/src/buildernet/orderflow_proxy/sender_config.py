# SPDX-License-Identifier: MIT
"""Settings of `orderflow-proxy sender`; each is explained in docs/services/orderflow-sender.md."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from buildernet.base.config import require_ranges
from buildernet.base.errors import ConfigError
from buildernet.base.flags import Flag
from buildernet.ethereum.signature import SigningKey
from buildernet.net.address import ListenAddress, require_encrypted
from buildernet.net.http_url import parse_http_url
from buildernet.orderflow_proxy.flags import GO_ALONE

KEY_VARIABLE: Final = "ORDERFLOW_SIGNER_KEY"
KEY_FLAG: Final = "--orderflow-signer-key"
"""Of the Go sender; known here so that it can be refused without its value."""

_log = logging.getLogger(__name__)

_MAX_BODY: Final = 64 * 1024 * 1024

_GO_DEVELOPMENT_KEY: Final = "0x9d278ccf695c2eab4b03be1c62d1e10e442e14f1"
"""Address of the key that the Go sender uses when none is given: everybody knows it."""


@dataclass(frozen=True, slots=True)
class SenderConfig:
    """The whole file."""

    listen_addr: str = "127.0.0.1:8080"
    """HOST:PORT for orders in plain HTTP; nothing is authenticated here."""
    metrics_addr: str = "127.0.0.1:8090"
    """HOST:PORT of /metrics and /update_peers."""
    hub_endpoint: str = "http://127.0.0.1:14892"
    """Base URL of the builder hub's internal API."""
    dangerously_plain: bool = False
    """Ask a hub on another machine in plain HTTP: whoever answers says where orders go."""
    peers_file: Path | None = None
    """JSON file with peers instead of a hub, for development."""
    signing_key_file: Path | None = None
    """Key that signs everything that is sent."""
    connections_per_peer: int = 10
    """Connections that are kept to one peer at most."""
    update_interval_s: int = 30
    """How often the list of peers is fetched."""
    max_body_bytes: int = 30 * 1024 * 1024
    """Of a request."""
    log_json: bool = True
    """JSON lines, or text for a person."""
    log_debug: bool = False
    """One line per request."""

    def __post_init__(self) -> None:
        """Check ranges.

        Raises:
            ConfigError: A value is out of its range.
        """
        parse_http_url("hub_endpoint", self.hub_endpoint, schemes=("http", "https"))
        if not self.dangerously_plain:
            require_encrypted("hub_endpoint", self.hub_endpoint)
        ListenAddress.parse(self.listen_addr)
        ListenAddress.parse(self.metrics_addr)
        require_ranges(
            self,
            connections_per_peer=(1, 1024),
            update_interval_s=(1, 3600),
            max_body_bytes=(1024, _MAX_BODY),
        )


SENDER: Final = (
    Flag(
        ("--listen-address",),
        "listen_addr",
        "where orders come in, plain HTTP (default: 127.0.0.1:8080)",
        ("LISTEN_ADDRESS",),
    ),
    Flag(
        ("--metrics-addr",),
        "metrics_addr",
        "where /metrics and /update_peers are (default: 127.0.0.1:8090)",
        ("METRICS_ADDR",),
    ),
    Flag(
        ("--builder-confighub-endpoint", "--builderhub-endpoint"),
        "hub_endpoint",
        "internal API of the builder hub (default: http://127.0.0.1:14892)",
        ("BUILDER_CONFIGHUB_ENDPOINT", "BUILDERHUB_ENDPOINT"),
    ),
    Flag(
        ("--dangerously-plain",),
        "dangerously_plain",
        "ask a hub on another machine in plain HTTP",
        boolean=True,
    ),
    Flag(("--peers-file",), "peers_file", "JSON list of peers instead of a hub"),
    Flag(
        ("--orderflow-signer-key-file",),
        "signing_key_file",
        "file with the key that signs what is sent",
        ("ORDERFLOW_SIGNER_KEY_FILE",),
    ),
    Flag(
        ("--connections-per-peer",),
        "connections_per_peer",
        "most connections to one peer (default: 10)",
        ("CONN_PER_PEER",),
    ),
    Flag(
        ("--max-request-body-size-bytes",),
        "max_body_bytes",
        "of a request (default: 31457280)",
        ("MAX_REQUEST_BODY_SIZE_BYTES",),
    ),
    Flag(("--log-json",), "log_json", "log as JSON", ("LOG_JSON",), boolean=True),
    Flag(("--log-debug",), "log_debug", "log every request", ("LOG_DEBUG",), boolean=True),
    Flag((KEY_FLAG,), "", "refused: a key on the command line is everybody's to read"),
    *GO_ALONE,
)


def load_key(config: SenderConfig, environment: Mapping[str, str]) -> SigningKey:
    """Return the key from its file, or from the variable that the Go sender reads.

    Raises:
        ConfigError: There is none, or it is the one that everybody knows.
        SigningKeyError: It is no key.
    """
    text = environment.get(KEY_VARIABLE, "")
    if config.signing_key_file is not None:
        key = SigningKey.load(config.signing_key_file)
    elif text:
        key = SigningKey.parse(text)
        _log.warning("secret_in_environment variable=%s use=signing_key_file", KEY_VARIABLE)
    else:
        raise ConfigError(
            "there is no key to sign with", hint="give --orderflow-signer-key-file FILE"
        )
    if key.address.hex() == _GO_DEVELOPMENT_KEY:
        raise ConfigError(
            "the key is the Go sender's development key, which everybody knows",
            hint="make one: openssl rand -hex 32 > key",
        )
    return key
