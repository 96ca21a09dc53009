# SPDX-License-Identifier: MIT
"""Errors of serving HTTP."""

from typing import ClassVar

from buildernet.base.errors import BuildernetError, ConfigError


class AddressError(ConfigError):
    """A listen address is not `HOST:PORT`."""


class ListenError(BuildernetError):
    """The server cannot listen on its address."""


class RequestError(BuildernetError):
    """A request is refused; the message goes to the client, the hint does not.

    Attributes:
        status: The HTTP status sent with it.
    """

    status: ClassVar[int] = 400


class TlsError(BuildernetError):
    """A TLS connection could not be made, or its peer does not follow the protocol."""


class ClientHelloError(TlsError):
    """The first bytes of a connection are no TLS ClientHello within its limits."""


class ExchangeError(BuildernetError):
    """A server that requests are passed to broke off, or its answer is malformed."""


class FetchError(BuildernetError):
    """A URL cannot be fetched."""


class StoreError(BuildernetError):
    """A file of a store cannot be read or written."""


class KeptConnectionError(BuildernetError):
    """A request over a kept connection got no answer that can be read.

    Attributes:
        timed_out: The answer did not come in time.
        reused: The connection had served a request before.
        silent: Nothing of an answer arrived; together with `reused`: the peer closed an idle
            connection at the moment it was used, and the request can go over another one.
    """

    def __init__(
        self, message: str, *, timed_out: bool = False, reused: bool = False, silent: bool = False
    ) -> None:
        super().__init__(message)
        self.timed_out = timed_out
        self.reused = reused
        self.silent = silent


class PinError(BuildernetError):
    """A peer's certificate is not the one that is pinned, or what is pinned is no certificate."""
