# SPDX-License-Identifier: MIT
"""Keeps this node registered at the hub: its certificate with proof of the key, and its evidence.

Runs as long as the node. It registers again when the certificate or the signing address changes,
and makes new evidence before what the hub has is too old to be passed on.

Reference: docs/protocols/orderflow-hub.md, sections "Registration" and "Attestation exchange".
"""

import logging
import re
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from buildernet.attestation.node import (
    NodeStatement,
    encode_measurement,
    key_digest,
    sign_possession,
)
from buildernet.attestation.policy.measurements_file import encode_own_measurements
from buildernet.base.bounded_file import read_file, replace_file
from buildernet.base.errors import BuildernetError
from buildernet.node.errors import RegistrationError
from buildernet.node.haproxy import read_pair
from buildernet.node.hub_request import ask_hub
from buildernet.node.own_evidence import make_evidence
from buildernet.node.registration_config import RegistrationConfig

FIRST_PAUSE_S: Final = 1.0
LONGEST_PAUSE_S: Final = 30.0
"""The hub may be down for long; peers fetch its list as often."""

_WATCH_S: Final = 1.0
_PREFIX: Final = "/api/l1-builder/v1"
_ADDRESS_BYTES: Final = 20
_MAX_ADDRESS_BYTES: Final = 256
_CERTIFICATE: Final = re.compile(
    r"-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----"
)  # fmt: skip
_ELSEWHERE: Final = ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1"))
_DISCARD_PORT: Final = 9
"""Nobody's addresses: the routing table is asked, no packet is sent."""

_log = logging.getLogger(__name__)


def keep_registered(config: RegistrationConfig) -> None:
    """Register, and again whenever there is a reason; never returns."""
    pause_s = FIRST_PAUSE_S
    while True:
        stamps = _stamps(config)
        try:
            register(config)
        except BuildernetError as exc:
            _log.warning("registration_failed reason=%s", exc)
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
            continue
        pause_s = FIRST_PAUSE_S
        end_s = time.monotonic() + config.interval_s
        while _stamps(config) == stamps and time.monotonic() < end_s:
            time.sleep(min(_WATCH_S, config.interval_s))


def register(config: RegistrationConfig, *, now: Callable[[], float] = time.time) -> None:
    """Register the certificate with proof of its key, then post evidence; one attempt.

    Raises:
        BuildernetError: A file is missing, there is no evidence, or the hub refuses.
    """
    folder, hub = config.certificate_dir, config.hub_endpoint
    both = read_pair(folder / "cert.pem", folder / "key.pem")  # waits until they fit each other
    pem, leaf, key = _parse_pair(both)
    address = None if config.address_file is None else _read_address(config.address_file)
    statement = NodeStatement(
        node_id=bytes(12) + (address or key_digest(leaf)[:_ADDRESS_BYTES]),
        tls_key=key_digest(leaf),
        address=address,
        ip_address=config.normal_ip_address() or find_own_address(),
        timestamp=int(now()),
    )
    own = make_evidence(statement.report_data(), tsm_dir=config.tsm_dir)
    if config.measurements_file is not None:  # before the hub is asked: it needs no hub
        _write(config.measurements_file, encode_own_measurements(own.platform, own.registers))
    _register_certificate(hub, pem, leaf, key)
    document = {
        "node_id": f"0x{statement.node_id.hex()}",
        "tee_measurement": f"0x{encode_measurement(own.registers).hex()}",
        "ip_address": statement.ip_address,
        "timestamp": statement.timestamp,
        "attestation_type": own.attestation_type,
        "tls_certificate": pem,
        "tee_attestation": f"0x{own.evidence.hex()}",
    }
    if address is not None:
        document["ecdsa_pubkey_address"] = f"0x{address.hex()}"
    ask_hub(hub, f"{_PREFIX}/tee_attestation", document)
    _log.info("registered node_id=%s ip_address=%s", document["node_id"], statement.ip_address)


def find_own_address() -> str:
    """Return the address that packets to elsewhere leave with: IPv4 if there is a way, else IPv6.

    Raises:
        RegistrationError: There is no way out yet.
    """
    reasons = []
    for family, address in _ELSEWHERE:
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as probe:
                probe.connect((address, _DISCARD_PORT))
                return str(probe.getsockname()[0])
        except OSError as exc:
            reasons.append(f"{family.name[3:]}: {exc.strerror}")
    raise RegistrationError(f"no route out of this machine: {', '.join(reasons)}")


# Any: the kind of key is checked by what it signs with.
def _parse_pair(both: str) -> tuple[str, x509.Certificate, Any]:
    """Return the certificates' PEM, the first certificate, and the key of what `read_pair` gives.

    Raises:
        RegistrationError: One of them cannot be read.
    """
    pem = "".join(f"{block}\n" for block in _CERTIFICATE.findall(both))
    try:
        leaf = x509.load_pem_x509_certificate(pem.encode())
        return pem, leaf, load_pem_private_key(both.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as exc:
        raise RegistrationError("certificate or key cannot be read") from exc


# Any: as above.
def _register_certificate(hub: str, pem: str, leaf: x509.Certificate, key: Any) -> None:
    path = f"{_PREFIX}/register_credentials/instance"
    text = ask_hub(hub, f"{path}/challenge").get("challenge")
    try:
        challenge = bytes.fromhex(str(text).removeprefix("0x"))
    except ValueError as exc:
        raise RegistrationError("hub's challenge is none") from exc
    proof = sign_possession(key, leaf, challenge=challenge)
    ask_hub(
        hub,
        path,
        {"tls_cert": pem, "challenge": text, "tls_cert_signature": f"0x{proof.hex()}"},
    )


def _read_address(path: Path) -> bytes:
    raw = read_file(path, limit=_MAX_ADDRESS_BYTES, error=RegistrationError)
    text = raw.decode("ascii", "replace").strip()
    try:
        address = bytes.fromhex(text.removeprefix("0x"))
    except ValueError:
        address = b""
    if len(address) != _ADDRESS_BYTES:
        raise RegistrationError(f"{path} holds no address", hint="orderflow-proxy writes it")
    return address


def _write(path: Path, data: bytes) -> None:
    """Replace a file whole, unless it says the same: who watches it need not look again."""
    try:
        if path.exists() and path.read_bytes() == data:
            return
    except OSError as exc:
        raise RegistrationError(f"cannot read {path}: {exc.strerror}") from exc
    replace_file(path, data, mode=0o644, error=RegistrationError)


def _stamps(config: RegistrationConfig) -> tuple[tuple[int, int] | None, ...]:
    files = (config.certificate_dir / "cert.pem", config.address_file)
    return tuple(None if file is None else _stamp(file) for file in files)


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns
