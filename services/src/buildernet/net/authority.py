# SPDX-License-Identifier: MIT
"""TLS to a server that somebody vouches for: the system's authorities, or those in a file."""

import ssl
from pathlib import Path

from buildernet.base.errors import ConfigError


def trusting(authority: Path | None) -> ssl.SSLContext:
    """Return a client's context that checks the server's name and certificate.

    Args:
        authority: PEM file of authorities, or of the server's own certificate; the old and the new
            one while it is replaced. None for the system's authorities.

    Raises:
        ConfigError: The file cannot be read or holds no certificate.
    """
    try:
        context = ssl.create_default_context(cafile=authority)
    except (OSError, ssl.SSLError) as exc:
        reason = getattr(exc, "reason", None) or exc.strerror or exc
        raise ConfigError(f"cannot read certificates from {authority}: {reason}") from exc
    # Else, of several self-signed certificates with one name, OpenSSL takes the first alone.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context
