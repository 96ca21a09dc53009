# SPDX-License-Identifier: MIT
"""TLS 1.3 over an asyncio connection, on pyOpenSSL.

A `TlsChannel` is the protocol of a TCP connection. One coroutine leads it through ClientHello
(server), handshake and whatever the two sides exchange before HTTP; then `start` hands the
decrypted stream to another asyncio protocol, such as aiohttp's, behind a `TlsTransport`.

Why not asyncio's own TLS: see docs/decisions/0013-tls-stack.md.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from cryptography import x509
from OpenSSL import SSL

from buildernet.net.client_hello import ClientHello, parse_client_hello
from buildernet.net.errors import TlsError
from buildernet.net.tls_transport import TlsTransport

MAX_EARLY_BYTES: Final = 512 * 1024
"""Taken from a peer before `start`; OpenSSL takes 100 KiB of certificates, a frame has 64 KiB."""

_RECORD_BYTES: Final = 16 * 1024
"""OpenSSL gives one record at a time, and pyOpenSSL allocates what it is asked for."""

_FLUSH_BYTES: Final = 256 * 1024
"""Handed to the kernel at once: four times less costs a sixth more processor time."""

Step = Callable[[], Awaitable[None]]


def new_context(*, server: bool) -> SSL.Context:
    """Return a context for TLS 1.3 only, without session resumption.

    A resumed session carries no certificate, so nothing would attest it.
    """
    context = SSL.Context(SSL.TLS_SERVER_METHOD if server else SSL.TLS_CLIENT_METHOD)
    context.set_min_proto_version(SSL.TLS1_3_VERSION)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_mode(SSL.MODE_RELEASE_BUFFERS)  # an idle connection needs none
    context.set_options(SSL.OP_NO_TICKET | SSL.OP_NO_RENEGOTIATION | SSL.OP_NO_COMPRESSION)
    return context


def select_protocol(context: SSL.Context, protocol: bytes | None) -> None:
    """Let a server's context answer every ALPN offer with one identifier, or with none."""
    answer = SSL.NO_OVERLAPPING_PROTOCOLS if protocol is None else protocol
    context.set_alpn_select_callback(lambda _connection, _offered: answer)


class TlsChannel(asyncio.Protocol):
    """One connection, from its first byte until it is handed over, and its transport after that."""

    def __init__(self, *, on_connected: Callable[["TlsChannel"], None] | None = None) -> None:
        """Prepare the protocol of a connection to come.

        Args:
            on_connected: Called once the TCP connection stands; starts the coroutine that leads it.
        """
        self.peer_address = ""
        self._on_connected = on_connected
        self._raw: asyncio.Transport | None = None
        self._tls: SSL.Connection | None = None
        self._inbox = bytearray()
        self._plain = bytearray()
        self._early_bytes = 0
        self._arrived = asyncio.Event()
        self._gone = False
        self._transport: TlsTransport | None = None

    # --- leading the connection -------------------------------------------------------------

    async def read_client_hello(self) -> ClientHello:
        """Wait for the client's first message; it stays to be read by the handshake.

        Raises:
            ClientHelloError: See `parse_client_hello`.
            TlsError: The peer went away.
        """
        while (hello := parse_client_hello(bytes(self._inbox))) is None:
            await self._more(beyond=len(self._inbox))
        return hello

    async def handshake(self, tls: SSL.Connection, *, step: Step | None = None) -> None:
        """Finish the TLS handshake of a connection object made without a socket.

        Args:
            tls: In accept or connect state.
            step: Runs `do_handshake` in another place, such as a thread; None runs it here.

        Raises:
            TlsError: The peer refuses, violates TLS, or goes away.
        """
        self._tls = tls
        while True:
            self._feed()
            try:
                if step is None:
                    tls.do_handshake()
                else:
                    await step()
            except SSL.WantReadError:
                self._flush()
                await self._more()
            except SSL.Error as exc:
                self._flush()  # the alert that tells the peer why
                raise TlsError(f"TLS handshake failed: {_reason(exc)}") from exc
            else:
                self._flush()
                return

    async def read_exactly(self, size: int) -> bytes:
        """Return the next decrypted bytes, before `start`.

        Raises:
            TlsError: The peer closes before it has sent them.
        """
        while True:
            open_end = self._decrypt()
            if len(self._plain) >= size:
                taken = bytes(self._plain[:size])
                del self._plain[:size]
                return taken
            if not open_end:
                raise TlsError(f"peer closed after {len(self._plain)} of {size} bytes")
            await self._more()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Encrypt and send; the transport's flow control applies after `start`."""
        if self._gone or not data:
            return
        rest = memoryview(data)
        try:
            while rest:  # OpenSSL takes one record at a time
                rest = rest[self.tls.send(rest) :]
        except SSL.Error:
            self.abort()
            return
        self._flush()

    def export(self, label: bytes, size: int) -> bytes:
        """Return keying material of this session without a context (RFC 8446 section 7.5)."""
        return self.tls.export_keying_material(label, size)

    def peer_chain(self) -> list[x509.Certificate]:
        """Return the certificates the peer sent, leaf first; empty when it sent none.

        Raises:
            TlsError: One of them cannot be parsed.
        """
        try:
            leaf = self.tls.get_peer_certificate(as_cryptography=True)
            chain = self.tls.get_peer_cert_chain(as_cryptography=True) or []
        except (ValueError, x509.InvalidVersion) as exc:
            raise TlsError(f"peer's certificate cannot be parsed: {exc}") from exc
        if leaf is None:
            return []
        return [leaf, *(certificate for certificate in chain if certificate != leaf)]

    @property
    def tls(self) -> SSL.Connection:
        """The session; there is none before `handshake`."""
        if self._tls is None:
            raise RuntimeError("no TLS before the handshake")
        return self._tls

    @property
    def protocol_id(self) -> bytes:
        """The ALPN identifier both sides agreed on; empty without one."""
        return self.tls.get_alpn_proto_negotiated()

    def start(
        self, protocol: asyncio.BaseProtocol, *, peer: object = None, http2: bool = False
    ) -> "TlsTransport":
        """Hand the decrypted stream over to a protocol.

        Args:
            protocol: Gets `connection_made` at once, then what already arrived.
            peer: What the transport answers to `get_extra_info("peer")`.
            http2: What it answers to `get_extra_info("http2")`: what the two sides agreed on.
        """
        transport = TlsTransport(self, self.raw, protocol, extra={"peer": peer, "http2": http2})
        self._transport = transport
        protocol.connection_made(transport)
        self._feed()
        if self._plain:
            early, self._plain = bytes(self._plain), bytearray()
            transport.deliver(early)
        self._deliver()
        if not transport.reading_paused:
            self.raw.resume_reading()
        if self._gone:
            transport.lost(None)
        return transport

    def close(self) -> None:
        """Say goodbye and close once everything is sent."""
        if self._tls is not None and not self._gone:
            with suppress(SSL.Error):
                self._tls.shutdown()
            self._flush()
        if self._raw is not None:
            self._raw.close()

    def refuse(self) -> None:
        """End a connection that is not going on; what tells the peer why still goes out."""
        if self._raw is not None and not self._raw.get_write_buffer_size():
            self.close()
        else:  # the peer does not even read
            self.abort()

    def abort(self) -> None:
        """Cut the connection at once."""
        if self._raw is not None:
            self._raw.abort()

    @property
    def raw(self) -> asyncio.Transport:
        """The TCP connection."""
        if self._raw is None:
            raise RuntimeError("not connected")
        return self._raw

    # --- asyncio.Protocol of the TCP connection ---------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember the connection and start leading it."""
        self._raw = transport  # type: ignore[assignment]  # a stream protocol gets a Transport
        address = transport.get_extra_info("peername")
        self.peer_address = str(address[0]) if address else ""
        if self._on_connected is not None:
            self._on_connected(self)

    def data_received(self, data: bytes) -> None:
        """Take ciphertext."""
        if self._transport is not None:
            self.tls.bio_write(data)
            self._deliver()
            return
        self._inbox += data
        self._early_bytes += len(data)
        if self._early_bytes > MAX_EARLY_BYTES:
            self.raw.pause_reading()
        self._arrived.set()

    def eof_received(self) -> None:
        """Close; a peer that wants to end the stream says so in TLS first."""

    def connection_lost(self, exc: Exception | None) -> None:
        """Wake whoever waits."""
        self._gone = True
        self._arrived.set()
        if self._transport is not None:
            self._transport.lost(exc)

    def pause_writing(self) -> None:
        """Pass the back-pressure on."""
        if self._transport is not None:
            self._transport.app.pause_writing()

    def resume_writing(self) -> None:
        """Pass the end of back-pressure on."""
        if self._transport is not None:
            self._transport.app.resume_writing()

    # --- inside -----------------------------------------------------------------------------

    async def _more(self, *, beyond: int = 0) -> None:
        """Wait until more ciphertext than that waits in the inbox."""
        while len(self._inbox) <= beyond:
            if self._gone:
                raise TlsError("peer closed the connection")
            self._arrived.clear()
            await self._arrived.wait()

    def _feed(self) -> None:
        if self._inbox:
            self.tls.bio_write(bytes(self._inbox))
            self._inbox.clear()

    def _flush(self) -> None:
        if self._gone:
            return
        with suppress(SSL.WantReadError):
            while True:
                sealed = self.tls.bio_read(_FLUSH_BYTES)
                self.raw.write(sealed)
                if len(sealed) < _FLUSH_BYTES:
                    return  # nothing is left: asking again would cost an exception

    def _decrypt(self) -> bool:
        """Move what can be decrypted to `_plain`; False once the peer has ended its stream."""
        self._feed()
        try:
            while True:
                self._plain += self.tls.recv(_RECORD_BYTES)
        except SSL.WantReadError:
            return True
        except SSL.ZeroReturnError:
            return False
        except SSL.Error as exc:
            raise TlsError(f"TLS failed: {_reason(exc)}") from exc

    def _deliver(self) -> None:
        transport = self._transport
        if transport is None or self._gone:
            return
        try:
            while not self._gone:  # joining records first was tried: a tenth slower
                transport.deliver(self.tls.recv(_RECORD_BYTES))
        except SSL.WantReadError:
            self._flush()  # answers to key updates
        except SSL.ZeroReturnError:
            transport.end()
        except SSL.Error:
            self._flush()
            self.abort()


def _reason(error: SSL.Error) -> str:
    """Return OpenSSL's words for an error, or say that the peer just left."""
    if error.args and isinstance(error.args[0], list):
        return "; ".join(str(entry[-1]) for entry in error.args[0])
    return ", ".join(str(part) for part in error.args) or "connection closed"
