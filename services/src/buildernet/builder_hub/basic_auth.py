# SPDX-License-Identifier: MIT
"""Basic authentication of the admin listener: one user, a bcrypt hash, few failures.

The hash is always computed, also for a wrong name, so that the time tells nothing. Failures are
counted per address and in all: a password is guessed at most some times a minute.

Reference: RFC 7617.
"""

import asyncio
import base64
import binascii
import hmac
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import bcrypt

from buildernet.base.errors import ConfigError

MAX_PASSWORD_BYTES: Final = 72
"""What bcrypt looks at; a longer one would be cut without a word, so it is refused."""

MAX_FAILURES: Final = 10
"""Of one address in `WINDOW_S`: a person mistypes, a script asks once."""

MAX_FAILURES_IN_ALL: Final = 100
"""Of all addresses in `WINDOW_S`; bcrypt at cost 12 takes a quarter second of one processor."""

WINDOW_S: Final = 60.0

MAX_ADDRESSES: Final = 4096
"""Addresses whose failures are remembered; the one that failed longest ago goes first."""

_AT_ONCE: Final = 2
"""Hashes computed at a time, so that a flood of guesses leaves a processor for the instances."""

_NOBODY: Final = bcrypt.hashpw(b"nobody", bcrypt.gensalt(rounds=10))
"""Compared with when the name is wrong or no password is set."""


def require_hash(text: str) -> bytes | None:
    """Return a bcrypt hash; None for the empty text, with which nobody can log in.

    Raises:
        ConfigError: It is no bcrypt hash. The message does not repeat it.
    """
    if not text:
        return None
    try:
        bcrypt.checkpw(b"", text.encode())
    except ValueError as exc:
        raise ConfigError(
            "the admin's password is not given as a bcrypt hash",
            hint="make one: builder-hub hash-password",
        ) from exc
    return text.encode()


@dataclass(slots=True)
class _Failures:
    count: int
    since: float


@dataclass(slots=True)
class BasicAuth:
    """Decides about `Authorization` headers."""

    user: str
    password_hash: bytes | None = field(repr=False)
    clock: Callable[[], float]
    """Monotonic seconds."""
    _failures: OrderedDict[str, _Failures] = field(default_factory=OrderedDict)
    _turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_AT_ONCE))

    def is_blocked(self, address: str) -> bool:
        """Whether an address, or everybody, failed too often to be heard now."""
        self._forget()
        mine = self._failures.get(address)
        in_all = sum(failures.count for failures in self._failures.values())
        return in_all >= MAX_FAILURES_IN_ALL or (mine is not None and mine.count >= MAX_FAILURES)

    async def check(self, header: str, address: str) -> str | None:
        """Return the user's name if the header names the right credentials; else None.

        A request without credentials is no failure: browsers send one before they ask the user.
        """
        credentials = _parse(header)
        if credentials is None:
            return None
        self._fail(address)  # taken back below: guesses at the same moment count at once
        user, password = credentials
        same_user = hmac.compare_digest(user, self.user.encode())
        known = self.password_hash if same_user else None
        async with self._turns:
            right = await asyncio.to_thread(bcrypt.checkpw, password, known or _NOBODY)
        if not (right and known is not None):
            return None
        self._failures.pop(address, None)
        return self.user

    def _fail(self, address: str) -> None:
        failures = self._failures.get(address)
        if failures is None:
            while len(self._failures) >= MAX_ADDRESSES:
                self._failures.popitem(last=False)
            self._failures[address] = _Failures(1, self.clock())
        else:
            failures.count += 1

    def _forget(self) -> None:
        oldest = self.clock() - WINDOW_S
        for address in [a for a, failures in self._failures.items() if failures.since <= oldest]:
            del self._failures[address]


def _parse(header: str) -> tuple[bytes, bytes] | None:
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, colon, password = base64.b64decode(encoded.strip(), validate=True).partition(b":")
    except (binascii.Error, ValueError):
        return None
    if not colon or len(password) > MAX_PASSWORD_BYTES or b"\0" in password:
        return None
    return user, password
