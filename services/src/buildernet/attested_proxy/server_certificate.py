# SPDX-License-Identifier: MIT
"""Which certificate the server of an attested client must show.

Evidence says what a server runs. A server outside the TEE, such as the hub's, has none: then its
certificate says who it is, by a name that an authority vouches for, or by its fingerprint. It is
judged within the handshake, before evidence or a request of ours is sent.

Only protocol B: in A a server makes a certificate for every connection.

Reference: RFC 9525 section 6 (names).
"""

import ipaddress
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from OpenSSL import SSL, crypto

from buildernet.attested_proxy.errors import ServerCertificateError
from buildernet.base.errors import ConfigError

_CAUSES: Final = {
    7: "is not signed by the authority it names",
    9: "is not valid yet",
    10: "has expired",
    18: "is self-signed, and no authority here",
    19: "comes from an authority that is none here",
    20: "comes from an authority that is none here",
    21: "comes from an authority that is none here",
    26: "is not for servers",
}
"""What operators meet, by OpenSSL's number (x509_vfy.h)."""

_MAX_SHOWN_NAMES: Final = 4


class CertificateDemand:
    """What is demanded of a server's certificate."""

    def __init__(
        self, host: str, *, authorities: Path | None = None, pinned: frozenset[bytes] = frozenset()
    ) -> None:
        """Prepare.

        Args:
            host: Name or IP address that the certificate must be for.
            authorities: PEM of who may vouch for it; None: whom the system believes. A self-signed
                certificate may stand there itself.
            pinned: SHA-256 of certificates; one of them must be shown, and nothing else counts.

        Raises:
            ConfigError: The file cannot be used.
        """
        self._host = host
        self._authorities = authorities
        self._pinned = pinned
        self.prepare(SSL.Context(SSL.TLS_CLIENT_METHOD))

    def prepare(self, context: SSL.Context) -> None:
        """Let connections of a context be judged by their `CertificateCheck`.

        Raises:
            ConfigError: The file of authorities cannot be used.
        """
        context.set_verify(SSL.VERIFY_PEER, _judge)
        if self._authorities is None:
            context.set_default_verify_paths()
            return
        try:
            context.load_verify_locations(str(self._authorities))
        except SSL.Error as exc:
            raise ConfigError(
                f"cannot use {self._authorities}", hint="a file with certificates in PEM"
            ) from exc

    def watch(self, tls: SSL.Connection) -> "CertificateCheck":
        """Let a handshake to come fail unless the server shows what is demanded."""
        check = CertificateCheck(self._host, self._pinned)
        tls.set_app_data(check)
        if _parse_address(self._host) is None:  # addresses are not said: RFC 6066 section 3
            tls.set_tlsext_host_name(self._host.encode("ascii"))
        return check


class CertificateCheck:
    """One handshake."""

    def __init__(self, host: str, pinned: frozenset[bytes]) -> None:
        """Begin.

        Args:
            host: As in the demand.
            pinned: As in the demand.
        """
        self._host = host
        self._pinned = pinned
        self._accepted = False
        self._error: ServerCertificateError | None = None

    def on_certificate(self, certificate: crypto.X509, error: int, depth: int, *, ok: bool) -> bool:
        """Judge what OpenSSL found; False ends the handshake.

        OpenSSL calls it with every fault, and at last with each certificate from the root to the
        server's own, which has depth 0.
        """
        try:
            if self._pinned:
                if depth == 0:
                    self._require_pinned(certificate.to_cryptography())
            elif not ok:
                cause = _CAUSES.get(error, f"is refused by OpenSSL (error {error})")
                raise ServerCertificateError(f"server's certificate {cause}")
            elif depth == 0:
                require_name(certificate.to_cryptography(), self._host)
        except ServerCertificateError as exc:
            self._error = exc
        except ValueError as exc:
            self._error = ServerCertificateError(f"server's certificate cannot be parsed: {exc}")
        else:
            self._accepted = self._accepted or depth == 0
            return True
        return False

    def require(self) -> None:
        """Raise `ServerCertificateError` unless the server's own certificate was accepted."""
        self.raise_error()
        if not self._accepted:
            raise ServerCertificateError("server showed no certificate")

    def raise_error(self) -> None:
        """Raise what was wrong with the certificate, if anything was."""
        if self._error is not None:
            raise self._error

    def _require_pinned(self, leaf: x509.Certificate) -> None:
        shown = leaf.fingerprint(SHA256())
        if shown not in self._pinned:
            raise ServerCertificateError(
                f"server's certificate has SHA-256 {shown.hex()}, which is not pinned"
            )


def _judge(tls: SSL.Connection, certificate: crypto.X509, error: int, depth: int, ok: int) -> bool:
    check = tls.get_app_data()
    if not isinstance(check, CertificateCheck):
        return False
    return check.on_certificate(certificate, error, depth, ok=bool(ok))


def require_name(leaf: x509.Certificate, host: str) -> None:
    """Check that a certificate is for a host.

    Args:
        leaf: The server's own; only its subject alternative names count.
        host: Name in ASCII, or IP address.

    Raises:
        ServerCertificateError: It is for others.
        ValueError: Its extensions cannot be parsed.
    """
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound as exc:
        raise ServerCertificateError("server's certificate is for no host") from exc
    listed: list[str]
    address = _parse_address(host)
    if address is not None:
        addresses = names.get_values_for_type(x509.IPAddress)
        fits, listed = address in addresses, [str(one) for one in addresses]
    else:
        listed = names.get_values_for_type(x509.DNSName)
        fits = any(_fits(name.lower(), host.lower().rstrip(".")) for name in listed)
    if not fits:
        shown = ", ".join(listed[:_MAX_SHOWN_NAMES]) or "other kinds of names"
        raise ServerCertificateError(f"server's certificate is for {shown[:200]}, not for {host}")


def _fits(name: str, host: str) -> bool:
    """Whether a name covers a host; `*` stands for one whole label, the first."""
    if name.startswith("*."):
        return "." in name[2:] and host.partition(".")[2] == name[2:]
    return name == host


def _parse_address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
