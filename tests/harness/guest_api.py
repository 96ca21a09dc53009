# SPDX-License-Identifier: MIT
"""Talks to the guest's system-api through its forwarded port."""

from __future__ import annotations

import http.client
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tests.harness.errors import GuestAPIError

if TYPE_CHECKING:
    from tests.harness.deadline import Deadline
    from tests.harness.machine import Machine

SYSTEM_API_PORT: Final = 3535
MAX_BODY_BYTES: Final = 4 * 1024 * 1024
"""Far above the largest answer read here: a firmware event log is tens of kilobytes."""
ATTEMPT_SECONDS: Final = 5.0
"""QEMU accepts for the guest at once; without a listener inside, the answer then never comes."""
PACE_SECONDS: Final = 0.2
"""Between two attempts; spent waiting for the machine to fail, so a failure ends it at once."""


@dataclass(frozen=True, slots=True)
class GuestAPI:
    """The system-api of one machine."""

    machine: Machine

    def get(self, path: str, *, timeout_seconds: float = ATTEMPT_SECONDS) -> bytes:
        """The body of a 200 answer.

        Raises:
            GuestAPIError: No connection, no answer in time, another status, or too large a body.
        """
        port = self.machine.ports[SYSTEM_API_PORT]
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_seconds)
        try:
            connection.request("GET", path, headers={"Connection": "close"})
            response = connection.getresponse()
            body = response.read(MAX_BODY_BYTES + 1)
        except (OSError, http.client.HTTPException) as exc:
            raise GuestAPIError(f"GET {path}: {exc!r}") from exc
        finally:
            connection.close()
        if response.status != http.client.OK:
            raise GuestAPIError(f"GET {path}: status {response.status}")
        if len(body) > MAX_BODY_BYTES:
            raise GuestAPIError(f"GET {path}: more than {MAX_BODY_BYTES} bytes")
        return body

    def wait_live(self, deadline: Deadline, path: str = "/livez") -> float:
        """Wait until `path` answers 200; the seconds since the deadline was set.

        Raises:
            BootFailedError, QemuExitedError: The machine failed first.
            DeadlineError: The deadline is over.
        """
        while True:
            try:
                self.get(
                    path, timeout_seconds=min(ATTEMPT_SECONDS, deadline.require(f"GET {path}"))
                )
            except GuestAPIError:
                self.machine.require_running(min(PACE_SECONDS, deadline.require(f"GET {path}")))
            else:
                return deadline.elapsed()

    def event_log(self) -> bytes:
        """The firmware's TPM event log as the guest read it.

        Raises:
            GuestAPIError: As `get`.
        """
        return self.get("/api/v1/measured-boot/event-log")

    def registers(self) -> bytes:
        """The registers as the guest read them, in JSON.

        Raises:
            GuestAPIError: As `get`.
        """
        return self.get("/api/v1/measured-boot/registers")
