# SPDX-License-Identifier: MIT
"""Tell systemd that a service is ready or stopping: one datagram, no library.

Reference: sd_notify(3), section "Notes" (protocol) and "Standalone implementations".
"""

import os
import socket
from typing import Final

READY: Final = "READY=1"
STOPPING: Final = "STOPPING=1"


def send(state: str) -> None:
    """Send a state to the service manager; does nothing when not started by one.

    Raises:
        OSError: The socket the manager named cannot be written to.
    """
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):  # a name in the abstract namespace
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        sock.connect(address)
        sock.sendall(state.encode())
