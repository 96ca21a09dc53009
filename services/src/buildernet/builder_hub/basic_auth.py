# SPDX-License-Identifier: MIT
"""Basic authentication of the admin listener: one user, a bcrypt hash, few failures.

The hash is always computed, also for a wrong name, so that the time tells nothing. Failures are
counted per address and in all: a password is guessed at most some times a minute. The credentials
that were right last are known by a keyed hash and pass without either: whoever guesses, from the
admin's own address too, does not keep the admin out.

Reference: RFC 7617.
"""

import asyncio
import base64
import binascii
import hashlib
import hmac
import secrets
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import bcrypt

from buildernet.base.errors import ConfigError
from buildernet.builder_hub.errors import TooManyLoginsError

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
"""Compared with when no password is set."""


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
    _key: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)
    _known: bytes = field(default=b"", repr=False)
    """What `_fingerprint` gives for the credentials that were right last."""
    _turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_AT_ONCE))

    def require_heard(self, address: str) -> None:
        """Raise if an address, or everybody, failed too often to be heard now.

        Raises:
            TooManyLoginsError: So it is.
        """
        self._forget()
        mine = self._failures.get(address)
        in_all = sum(failures.count for failures in self._failures.values())
        if in_all >= MAX_FAILURES_IN_ALL or (mine is not None and mine.count >= MAX_FAILURES):
            raise TooManyLoginsError("too many failed logins")

    async def check(self, header: str, address: str) -> str | None:
        """Return the user's name if the header names the right credentials; else None.

        A request without credentials is no failure: browsers send one before they ask the user.

        Raises:
            TooManyLoginsError: The address is not heard now; the password was not looked at.
        """
        credentials = _parse(header)
        if credentials is None:
            return None
        fingerprint = self._fingerprint(*credentials)
        if not self._is_known(fingerprint):
            self.require_heard(address)  # at once, and again after others had their turn
            async with self._turns:  # requests behind the first right one find it known
                if not self._is_known(fingerprint):
                    self.require_heard(address)
                    if not await self._is_right(*credentials, address):
                        return None
                    self._known = fingerprint
        return self.user

    async def _is_right(self, user: bytes, password: bytes, address: str) -> bool:
        """Compute the hash; an attempt counts from its start, so that a second one sees it."""
        self._fail(address)
        same_user = hmac.compare_digest(user, self.user.encode())
        expected = self.password_hash or _NOBODY
        right = await asyncio.to_thread(bcrypt.checkpw, password, expected)
        if not (right and same_user and self.password_hash is not None):
            return False
        self._failures.pop(address, None)
        return True

    def _fingerprint(self, user: bytes, password: bytes) -> bytes:
        """Return the keyed hash of credentials and of the bcrypt hash that they are right for."""
        digest = hmac.new(self._key, digestmod=hashlib.sha256)
        for part in (self.user.encode(), self.password_hash or b"", user, password):
            digest.update(len(part).to_bytes(8) + part)
        return digest.digest()

    def _is_known(self, fingerprint: bytes) -> bool:
        return hmac.compare_digest(fingerprint, self._known)

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
