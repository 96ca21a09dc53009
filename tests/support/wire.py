# SPDX-License-Identifier: MIT
"""A transport in memory."""

import asyncio
from typing import Any


class Wire(asyncio.Transport):
    """Keeps what is written; the other side reads it."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = bytearray()
        self.closed = False

    def write(self, data: Any) -> None:
        self.sent += data

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed
