# SPDX-License-Identifier: MIT
"""Accepts TLS connections and counts them from the first moment.

asyncio's own TLS server shows a connection only after its handshake, so that any number could stand
before theirs. Here a connection above the limit is closed when it is accepted.
"""

import asyncio
import errno
import logging
import socket
import ssl
from collections.abc import Callable, Sequence
from typing import Any, Final

from buildernet.net.address import ListenAddress
from buildernet.net.limits import BACKLOG, HANDSHAKE_TIMEOUT_S

_RETRY_S: Final = 1.0
"""After accepting failed, as it does while file descriptors have run out."""

_WITHOUT_FAMILY: Final = frozenset({errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL})
"""What a machine without IPv6 says to an IPv6 address."""

_log = logging.getLogger(__name__)


class TlsListener:
    """The listening sockets of one address; `run` serves them."""

    def __init__(self, sockets: Sequence[socket.socket], context: ssl.SSLContext) -> None:
        """Wrap sockets.

        Args:
            sockets: Bound, listening and not blocking; at least one.
            context: Loaded with the certificate; what is loaded later serves later connections.
        """
        self.sockets = tuple(sockets)
        self._context = context
        self._handshakes: set[asyncio.Task[None]] = set()

    @classmethod
    async def bind(cls, address: ListenAddress, context: ssl.SSLContext) -> "TlsListener":
        """Listen on an address: of every interface, or of `localhost`, by IPv4 and IPv6.

        Raises:
            OSError: It is in use, or not ours.
        """
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        sockets: list[socket.socket] = []
        absent: OSError | None = None
        try:
            for family, *_, place in dict.fromkeys(found):
                port = sockets[0].getsockname()[1] if sockets else address.port
                try:
                    one = socket.create_server((place[0], port), family=family, backlog=BACKLOG)
                except OSError as exc:
                    if exc.errno not in _WITHOUT_FAMILY:
                        raise
                    absent = exc
                else:
                    one.setblocking(False)
                    sockets.append(one)
            if absent is not None and not sockets:
                raise absent
        except BaseException:
            for one in sockets:
                one.close()
            raise
        return cls(sockets, context)

    def __len__(self) -> int:
        """Return how many connections are in their handshake."""
        return len(self._handshakes)

    def close(self) -> None:
        """Accept nothing more, and cut what is not through its handshake."""
        for listening in self.sockets:
            listening.close()
        for task in self._handshakes:
            task.cancel()

    async def run(
        self,
        make_protocol: Callable[[], asyncio.Protocol],
        *,
        is_full: Callable[[int], bool],
    ) -> None:
        """Accept connections; runs until cancelled.

        Args:
            make_protocol: Makes the protocol of a connection after its handshake.
            is_full: Told how many are in their handshake; says whether one more is too many.
        """
        async with asyncio.TaskGroup() as group:
            for listening in self.sockets:
                group.create_task(self._accept(listening, make_protocol, is_full))

    async def _accept(
        self,
        listening: socket.socket,
        make_protocol: Callable[[], asyncio.Protocol],
        is_full: Callable[[int], bool],
    ) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, _ = await loop.sock_accept(listening)
            except OSError as exc:
                _log.warning("accept_failed reason=%s", exc.strerror)
                await asyncio.sleep(_RETRY_S)
                continue
            if is_full(len(self._handshakes)):
                connection.close()
                continue
            task = loop.create_task(self._shake_hands(connection, make_protocol))
            self._handshakes.add(task)
            task.add_done_callback(self._handshakes.discard)

    # Any: a socket as its loop has it.
    async def _shake_hands(
        self, connection: Any, make_protocol: Callable[[], asyncio.Protocol]
    ) -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.connect_accepted_socket(
                make_protocol,
                connection,
                ssl=self._context,
                ssl_handshake_timeout=HANDSHAKE_TIMEOUT_S,
            )
        except (OSError, EOFError) as exc:  # ssl.SSLError is an OSError
            _log.debug("handshake_failed reason=%s", exc)
            connection.close()
