# SPDX-License-Identifier: MIT
"""The node's own TLS key and certificate: made at start, replaced before they expire.

P-256, self-signed, 24 h. The key stays in this process; when other services of the node need it, it
is written into a folder that must be memory-backed. Open connections keep the certificate they
began with; new ones get the newest.
"""

import asyncio
import ipaddress
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID

from buildernet.attested_proxy.errors import NodeCertificateError
from buildernet.base.bounded_file import read_file, replace_file

VALIDITY: Final = timedelta(hours=24)
ROTATE_BEFORE_END: Final = timedelta(hours=8)
"""Whoever fetched the certificate has eight hours to fetch its successor."""

CLOCK_SKEW: Final = timedelta(minutes=5)
"""A verifier's clock may be that much behind."""

MAX_PEM_BYTES: Final = 256 * 1024
"""A certificate has 1 KiB, a chain a few; more is another file given by mistake."""

KEY_NAME: Final = "key.pem"
CERTIFICATE_NAME: Final = "cert.pem"

_MEMORY_BACKED: Final = frozenset({"tmpfs", "ramfs"})
_MOUNTS: Final = Path("/proc/self/mounts")
_TRY_AGAIN_S: Final = 60.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Identity:
    """A TLS key with its certificate chain, leaf first."""

    key: CertificateIssuerPrivateKeyTypes
    chain: tuple[x509.Certificate, ...]

    @property
    def leaf(self) -> x509.Certificate:
        """The certificate of the key."""
        return self.chain[0]

    @property
    def pem(self) -> bytes:
        """The chain as PEM."""
        return b"".join(certificate.public_bytes(Encoding.PEM) for certificate in self.chain)


def make_identity(hosts: Sequence[str], *, now: datetime) -> Identity:
    """Make a key and its certificate.

    Args:
        hosts: Names and IP addresses the certificate is for.
        now: Validity begins `CLOCK_SKEW` before.

    Raises:
        NodeCertificateError: There is no host, or one is no name.
    """
    if not hosts:
        raise NodeCertificateError("a node certificate needs at least one host name or address")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, hosts[0][:64])])
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    purposes = x509.ExtendedKeyUsage(
        [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now - CLOCK_SKEW + VALIDITY)
        .add_extension(
            x509.SubjectAlternativeName([_general_name(host) for host in hosts]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(purposes, critical=False)
    )
    return Identity(key, (builder.sign(key, SHA256()),))


def load_identity(certificate: Path, key: Path) -> Identity:
    """Read a PEM chain and its key.

    Raises:
        NodeCertificateError: A file cannot be read, is no PEM, or the two do not belong together.
    """
    try:
        chain = tuple(
            x509.load_pem_x509_certificates(
                read_file(certificate, limit=MAX_PEM_BYTES, error=NodeCertificateError)
            )
        )
        loaded = load_pem_private_key(
            read_file(key, limit=MAX_PEM_BYTES, error=NodeCertificateError), password=None
        )
        fits = loaded.public_key() == chain[0].public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm) as exc:
        raise NodeCertificateError(f"cannot use {certificate} with {key}: {exc}") from exc
    if not fits:
        raise NodeCertificateError(
            f"{key} is not the key of the first certificate in {certificate}"
        )
    # load_pem_private_key may give key-agreement keys; those have no certificate to compare with.
    return Identity(loaded, chain)  # type: ignore[arg-type]


def save_identity(identity: Identity, folder: Path) -> None:
    """Write key and certificate, each whole or not at all, the key readable by its owner only.

    Raises:
        NodeCertificateError: The folder is not memory-backed or cannot be written.
    """
    require_memory_backed(folder)
    key = identity.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    replace_file(folder / KEY_NAME, key, mode=0o600, error=NodeCertificateError)
    replace_file(folder / CERTIFICATE_NAME, identity.pem, mode=0o644, error=NodeCertificateError)


def require_memory_backed(folder: Path, *, mounts: Path = _MOUNTS) -> None:
    """Raise `NodeCertificateError` unless a folder is on a file system without a disk."""
    place = folder.resolve()
    kinds: dict[Path, str] = {}
    for line in mounts.read_text().splitlines():
        _, point, kind, *_ = line.split(" ")
        kinds[Path(point.encode().decode("unicode_escape"))] = kind  # a later mount hides it
    nearest = next((path for path in (place, *place.parents) if path in kinds), Path("/"))
    kind = kinds.get(nearest, "unknown")
    if kind not in _MEMORY_BACKED:
        raise NodeCertificateError(
            f"{folder} is on {kind}, so the key would reach a disk",
            hint="choose a folder below /run",
        )


class NodeCertificate:
    """The newest identity of a node."""

    def __init__(
        self,
        identity: Identity,
        *,
        renew: Callable[[], Identity] | None = None,
        reread: Callable[[], Identity] | None = None,
        folder: Path | None = None,
    ) -> None:
        """Hold an identity.

        Args:
            identity: The first one.
            renew: Makes the next before this one expires; None for one that an operator gave.
            reread: Reads what the operator gives now; looked at each minute.
            folder: Where others find key and certificate; None keeps them in this process.

        Raises:
            NodeCertificateError: They cannot be written.
        """
        self.identity = identity
        self._renew = renew
        self._reread = reread
        self._folder = folder
        self._save(identity)

    async def rotate(self) -> None:
        """Replace the certificate whenever it is due, or its files change; runs until cancelled."""
        while self._reread is not None:
            await asyncio.sleep(_TRY_AGAIN_S)
            self.reread_now(self._reread)
        while self._renew is not None:
            due = self.identity.leaf.not_valid_after_utc - ROTATE_BEFORE_END
            wait_s = (due - datetime.now(UTC)).total_seconds()
            if wait_s > 0:
                # Looked at again each minute: a suspended machine's timers do not count.
                await asyncio.sleep(min(wait_s, _TRY_AGAIN_S))
                continue
            try:
                self.renew_now()
            except NodeCertificateError as exc:
                _log.warning("certificate_rotation_failed reason=%s", exc)
                await asyncio.sleep(_TRY_AGAIN_S)

    def reread_now(self, reread: Callable[[], Identity]) -> None:
        """Take what the operator's files hold, if they changed and can be used."""
        try:
            found = reread()
        except NodeCertificateError as exc:  # perhaps half written
            _log.warning("certificate_kept reason=%s", exc)
            return
        if found.chain != self.identity.chain:
            self.identity = found
            until = found.leaf.not_valid_after_utc.isoformat()
            _log.info("certificate_reloaded serial=%x until=%s", found.leaf.serial_number, until)

    def renew_now(self) -> None:
        """Replace the certificate; new connections get the new one.

        Raises:
            NodeCertificateError: It cannot be made or written.
        """
        if self._renew is None:
            return
        fresh = self._renew()
        self._save(fresh)  # first: one that nobody else can read is tried again
        self.identity = fresh
        _log.info(
            "certificate_rotated serial=%x until=%s",
            fresh.leaf.serial_number,
            fresh.leaf.not_valid_after_utc.isoformat(),
        )

    def _save(self, identity: Identity) -> None:
        if self._folder is not None:
            save_identity(identity, self._folder)


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        pass
    try:
        return x509.DNSName(host)
    except ValueError as exc:
        raise NodeCertificateError(f"{host!r} is no host name and no IP address") from exc
