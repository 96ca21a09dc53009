# SPDX-License-Identifier: MIT
"""Reads the first message of a TLS connection: the server name and the protocols it offers.

A server that must know both before it can choose a certificate, and that needs time to make one,
reads them here, before TLS itself starts. OpenSSL parses the same bytes again and has the last
word; nothing else of the message is judged here.

Reference: RFC 8446 sections 4.1.2 and 5.1, RFC 6066 section 3 (SNI), RFC 7301 section 3.1 (ALPN).
"""

from dataclasses import dataclass
from typing import Final

from buildernet.net.errors import ClientHelloError

MAX_CLIENT_HELLO_BYTES: Final = 16 * 1024
"""With post-quantum keys and every extension a browser sends about 2 KiB."""

_RECORD_HEADER_BYTES: Final = 5
_HANDSHAKE_RECORD: Final = 22
_MAX_RECORD_BYTES: Final = 1 << 14
_MESSAGE_HEADER_BYTES: Final = 4
_CLIENT_HELLO: Final = 1
_VERSION_AND_RANDOM_BYTES: Final = 2 + 32
_SERVER_NAME: Final = 0
_HOST_NAME: Final = 0
_ALPN: Final = 16


@dataclass(frozen=True, slots=True)
class ClientHello:
    """What a client asks for before anything is encrypted."""

    server_name: bytes | None
    """The host name of the SNI extension as sent; None without one."""
    protocols: tuple[bytes, ...]
    """ALPN identifiers, most wanted first."""


def parse_client_hello(data: bytes) -> ClientHello | None:
    """Read a ClientHello from the first bytes of a connection.

    Returns:
        None as long as the message is incomplete.

    Raises:
        ClientHelloError: The bytes are something else, are malformed, or exceed the limit.
    """
    message = _message(data)
    if message is None:
        return None
    fields = _Fields(message)
    fields.take(_VERSION_AND_RANDOM_BYTES)
    fields.block(1)  # session id
    fields.block(2)  # cipher suites
    fields.block(1)  # compression methods
    extensions = _Fields(fields.block(2) if fields.left else b"")
    fields.expect_end()
    found: dict[int, bytes] = {}
    while extensions.left:
        kind, body = extensions.number(2), extensions.block(2)
        if kind in found:
            raise ClientHelloError(f"ClientHello has extension {kind} twice")
        found[kind] = body
    return ClientHello(
        server_name=_server_name(found[_SERVER_NAME]) if _SERVER_NAME in found else None,
        protocols=_protocols(found[_ALPN]) if _ALPN in found else (),
    )


def _message(data: bytes) -> bytes | None:
    """Join the records' fragments until the handshake message is whole."""
    message = b""
    rest = data
    while True:
        if rest and rest[0] != _HANDSHAKE_RECORD:
            raise ClientHelloError(f"not TLS: first byte of a record is 0x{rest[0]:02x}")
        if message and message[0] != _CLIENT_HELLO:
            raise ClientHelloError(f"first TLS message has type {message[0]}, not ClientHello")
        if len(message) >= _MESSAGE_HEADER_BYTES:
            end = _MESSAGE_HEADER_BYTES + int.from_bytes(message[1:_MESSAGE_HEADER_BYTES])
            if end > MAX_CLIENT_HELLO_BYTES:
                raise ClientHelloError(
                    f"ClientHello of {end} bytes, at most {MAX_CLIENT_HELLO_BYTES} are taken"
                )
            if len(message) >= end:
                return message[_MESSAGE_HEADER_BYTES:end]
        if len(rest) < _RECORD_HEADER_BYTES:
            break
        size = int.from_bytes(rest[3:_RECORD_HEADER_BYTES])
        if not 0 < size <= _MAX_RECORD_BYTES:
            raise ClientHelloError(f"TLS record of {size} bytes")
        fragment = rest[_RECORD_HEADER_BYTES : _RECORD_HEADER_BYTES + size]
        message += fragment
        rest = rest[_RECORD_HEADER_BYTES + size :] if len(fragment) == size else b""
    if len(data) > 2 * MAX_CLIENT_HELLO_BYTES:  # many tiny records
        raise ClientHelloError("ClientHello in too many records")
    return None


def _server_name(body: bytes) -> bytes:
    names = _Fields(body)
    entries = _Fields(names.block(2))
    names.expect_end()
    kind, name = entries.number(1), entries.block(2)
    entries.expect_end()
    if kind != _HOST_NAME or not name:
        raise ClientHelloError("ClientHello has an empty server name")
    return name


def _protocols(body: bytes) -> tuple[bytes, ...]:
    outer = _Fields(body)
    entries = _Fields(outer.block(2))
    outer.expect_end()
    found = []
    while entries.left:
        found.append(entries.block(1))
    if not found or b"" in found:
        raise ClientHelloError("ClientHello has an empty ALPN identifier")
    return tuple(found)


class _Fields:
    """Takes length-prefixed fields off the front of a message."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def left(self) -> int:
        return len(self._data) - self._at

    def take(self, size: int) -> bytes:
        if size > self.left:
            raise ClientHelloError("ClientHello ends inside a field")
        self._at += size
        return self._data[self._at - size : self._at]

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size))

    def block(self, length_bytes: int) -> bytes:
        return self.take(self.number(length_bytes))

    def expect_end(self) -> None:
        if self.left:
            raise ClientHelloError(f"ClientHello has {self.left} bytes after its last field")
