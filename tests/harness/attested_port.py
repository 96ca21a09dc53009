# SPDX-License-Identifier: MIT
"""The port on which a node proves its certificate: waiting until someone answers there."""

import socket
import ssl
from typing import Final

from tests.harness.deadline import Deadline
from tests.harness.machine import Machine

ATTESTED_PORT: Final = 7936
ATTEMPT_SECONDS: Final = 5.0
"""QEMU accepts for the guest at once; without a listener inside, no TLS follows."""
PACE_SECONDS: Final = 0.2
"""Between two attempts; spent waiting for the machine to fail, so a failure ends it at once."""


def wait_for_tls(machine: Machine, deadline: Deadline) -> None:
    """Wait until the attested port ends TLS, whoever it is.

    Raises:
        BootFailedError, QemuExitedError: The machine failed first.
        DeadlineError: The deadline is over.
    """
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    address = ("127.0.0.1", machine.ports[ATTESTED_PORT])
    while True:
        seconds = min(ATTEMPT_SECONDS, deadline.require("TLS on the attested port"))
        try:
            with (
                socket.create_connection(address, seconds) as connection,
                context.wrap_socket(connection),
            ):
                return
        except OSError:
            machine.require_running(min(PACE_SECONDS, seconds))
