# SPDX-License-Identifier: MIT
"""QEMU's monitor: greeting, one command at a time, events skipped, errors raised."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from tests.harness.errors import DeadlineError, QmpError

if TYPE_CHECKING:
    import socket

    from tests.harness.deadline import Deadline

MAX_REPLY_BYTES: Final = 1024 * 1024
"""Longest line taken from QEMU; its longest real reply here (`info usernet`) is a few kilobytes."""


class QmpClient:
    """Speaks QMP on a connected socket.

    Reference: QEMU, docs/interop/qmp-spec.rst.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._buffer = b""

    def negotiate(self, deadline: Deadline) -> None:
        """Take the greeting and leave capability negotiation.

        Raises:
            QmpError: QEMU closed the connection or refused.
            DeadlineError: No greeting in time.
        """
        self._receive(deadline)
        self.execute("qmp_capabilities", deadline=deadline)

    def execute(self, command: str, *, deadline: Deadline, **arguments: object) -> object:
        """Run one command and return its result.

        Raises:
            QmpError: QEMU reported an error or closed the connection.
            DeadlineError: No answer in time.
        """
        request = {"execute": command} | ({"arguments": arguments} if arguments else {})
        try:
            self._connection.settimeout(deadline.require(f"QMP {command}"))
            self._connection.sendall(json.dumps(request).encode() + b"\n")
        except OSError as exc:
            raise QmpError(f"QEMU closed its monitor before {command}") from exc
        while True:
            reply = self._receive(deadline)
            if "error" in reply:
                raise QmpError(f"QEMU refused {command}: {reply['error']}")
            if "return" in reply:
                return reply["return"]

    def _receive(self, deadline: Deadline) -> dict[str, object]:
        while b"\n" not in self._buffer:
            self._connection.settimeout(deadline.require("an answer of QEMU's monitor"))
            try:
                chunk = self._connection.recv(65536)
            except TimeoutError as exc:
                raise DeadlineError("not in time: an answer of QEMU's monitor") from exc
            except OSError as exc:
                raise QmpError("QEMU closed its monitor") from exc
            if not chunk:
                raise QmpError("QEMU closed its monitor")
            self._buffer += chunk
            if len(self._buffer) > MAX_REPLY_BYTES:
                raise QmpError(f"QEMU's monitor sent a line over {MAX_REPLY_BYTES} bytes")
        line, self._buffer = self._buffer.split(b"\n", 1)
        try:
            reply = json.loads(line)
        except ValueError as exc:
            raise QmpError("QEMU's monitor sent something that is not JSON") from exc
        if not isinstance(reply, dict):
            raise QmpError("QEMU's monitor sent JSON that is not an object")
        return reply
