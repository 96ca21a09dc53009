# SPDX-License-Identifier: MIT
"""TLS to one peer whose certificate is known beforehand: that certificate, and nothing else.

Names, authorities and dates in the certificate mean nothing here: whoever gave us the certificate
(the hub, or evidence) said whose it is and withdraws it by no longer naming it. The handshake of
TLS 1.3 proves that the peer holds the certificate's key.
"""

import asyncio
import hmac
import ssl
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from buildernet.net.errors import PinError

MAX_PEM_BYTES: Final = 64 * 1024
"""A certificate has 1 KiB, a public authority's chain 6 KiB."""


class PinnedPeer:
    """The certificates that one peer may show."""

    def __init__(self, pem: str) -> None:
        """Read what is pinned.

        Args:
            pem: One certificate or several, e.g. a chain or an old and a new one. The peer must
                show one of them as its own; none of them is an authority for others.

        Raises:
            PinError: No certificate, or text over `MAX_PEM_BYTES`.
        """
        data = pem.encode("utf-8", "replace")
        if len(data) > MAX_PEM_BYTES:
            raise PinError(f"certificates of a peer have more than {MAX_PEM_BYTES} bytes")
        try:
            certificates = x509.load_pem_x509_certificates(data)
        except ValueError as exc:
            raise PinError("certificate of a peer is no PEM certificate") from exc
        self._pinned = tuple(one.public_bytes(Encoding.DER) for one in certificates)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_3
        self.context.check_hostname = False
        # The chain is not judged by OpenSSL but by `verify`, before a byte is sent.
        self.context.verify_mode = ssl.CERT_NONE

    def verify(self, transport: asyncio.BaseTransport) -> None:
        """Raise `PinError` unless the peer of a finished handshake showed what is pinned."""
        tls = transport.get_extra_info("ssl_object")
        shown = tls.getpeercert(binary_form=True) if tls is not None else None
        if shown is None or not any(hmac.compare_digest(shown, one) for one in self._pinned):
            raise PinError("peer shows another certificate than the one pinned for it")
