# SPDX-License-Identifier: MIT
"""Limits of an HTTP server. Each has a default that suits an operator's API."""

from dataclasses import dataclass
from typing import Final

MAX_LINE_BYTES: Final = 8190
"""Request line or one header: what nginx and Apache take too."""

MAX_HEADERS: Final = 64
"""Browsers and proxies send about 20."""

BACKLOG: Final = 128
"""Connections the kernel holds while the event loop is busy."""

HANDSHAKE_TIMEOUT_S: Final = 10.0
"""A TLS handshake across the world takes under a second."""

LINGER_S: Final = 1.0
"""How long the rest of a refused body is read, so that its sender gets to see the answer."""

STOP_TIMEOUT_S: Final = 8.0
"""What running requests get after SIGTERM, those of all a service's listeners together; with the
clean-up it stays below the promised 10 s."""


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """What one client may cost."""

    max_body_bytes: int = 64 * 1024
    """A request's body; a service that takes uploads sets its own."""
    max_connections: int = 64
    """Open at once; above it new ones are closed and counted."""
    idle_timeout_s: float = 15.0
    """Longest time a connection may spend outside a handler: sending headers, reading a finished
    response, or idle between requests."""
    request_timeout_s: float = 15.0
    """Longest time inside a handler, reading the body and streaming the response included."""
