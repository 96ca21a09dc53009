# SPDX-License-Identifier: MIT
"""The ClientHello reader against messages of OpenSSL, split, damaged and forged."""

import contextlib
import ssl

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from buildernet.net.client_hello import MAX_CLIENT_HELLO_BYTES, parse_client_hello
from buildernet.net.errors import ClientHelloError


def client_hello(name: str | None = "node.example", protocols: tuple[str, ...] = ()) -> bytes:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if protocols:
        context.set_alpn_protocols(list(protocols))
    outgoing = ssl.MemoryBIO()
    tls = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    return outgoing.read()


HELLO = client_hello("node.example", ("flashbots-ratls/1", "http/1.1"))


def in_records(message: bytes, size: int) -> bytes:
    pieces = [message[at : at + size] for at in range(0, len(message), size)]
    return b"".join(b"\x16\x03\x01" + len(piece).to_bytes(2) + piece for piece in pieces)


def test_name_and_protocols_are_read() -> None:
    hello = parse_client_hello(HELLO)
    assert hello is not None
    assert hello.server_name == b"node.example"
    assert hello.protocols == (b"flashbots-ratls/1", b"http/1.1")


def test_both_may_be_missing() -> None:
    hello = parse_client_hello(client_hello(None))
    assert hello is not None
    assert hello.server_name is None
    assert hello.protocols == ()


def test_message_in_many_records_is_joined() -> None:
    assert parse_client_hello(in_records(HELLO[5:], 50)) == parse_client_hello(HELLO)


@given(st.integers(0, len(HELLO) - 1))
@settings(max_examples=50)
def test_every_truncation_asks_for_more(size: int) -> None:
    assert parse_client_hello(HELLO[:size]) is None


@given(st.integers(0, len(HELLO) * 8 - 1))
@settings(max_examples=200)
def test_bit_flips_raise_our_error_only(bit: int) -> None:
    damaged = bytearray(HELLO)
    damaged[bit // 8] ^= 1 << bit % 8
    with contextlib.suppress(ClientHelloError):
        parse_client_hello(bytes(damaged))


@given(st.binary(max_size=300))
@settings(max_examples=100)
def test_noise_raises_our_error_only(noise: bytes) -> None:
    for data in (noise, b"\x16\x03\x01" + len(noise).to_bytes(2) + noise):
        with contextlib.suppress(ClientHelloError):
            parse_client_hello(data)


@pytest.mark.parametrize(
    "data", [b"GET / HTTP/1.1\r\n", b"SSH-2.0-x\r\n", b"\x15\x03\x01\0\2\2\x28"]
)
def test_other_protocols_are_refused_by_their_first_byte(data: bytes) -> None:
    with pytest.raises(ClientHelloError, match="not TLS"):
        parse_client_hello(data)


def test_size_is_limited_before_the_message_arrives() -> None:
    message = b"\x01" + (MAX_CLIENT_HELLO_BYTES + 1).to_bytes(3)
    with pytest.raises(ClientHelloError, match="at most"):
        parse_client_hello(in_records(message, 100))


def test_tiny_records_do_not_escape_the_limit() -> None:
    message = b"\x01" + (MAX_CLIENT_HELLO_BYTES - 4).to_bytes(3) + bytes(8000)
    with pytest.raises(ClientHelloError, match="too many records"):
        parse_client_hello(in_records(message, 1))


def test_extension_twice_is_refused() -> None:
    name = b"\0\0\0\x08\0\x06\0\0\x03abc"
    body = (
        bytes(34) + b"\0" + b"\0\x02\x13\x01" + b"\x01\0" + (2 * len(name)).to_bytes(2) + 2 * name
    )
    message = b"\x01" + len(body).to_bytes(3) + body
    with pytest.raises(ClientHelloError, match="twice"):
        parse_client_hello(in_records(message, 200))
