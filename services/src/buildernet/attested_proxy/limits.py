# SPDX-License-Identifier: MIT
"""What one peer may cost before it is proved who it is, and after."""

from dataclasses import dataclass
from typing import Final

CLIENT_HELLO_TIMEOUT_S: Final = 10.0
"""An honest client sends it with its first packets."""


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """Limits of the attested listener, beside those of `net.limits`."""

    handshake_timeout_s: float = 30.0
    """From TCP connection to verified peer; the reference gives evidence 30 s as well."""
    max_handshakes: int = 256
    """Connections that are not through their handshake; more are closed at once."""
    max_connections_per_address: int = 64
    """Open at once from one IP address, handshakes included."""
