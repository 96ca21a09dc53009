# SPDX-License-Identifier: MIT
from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from buildernet.net.errors import KeptConnectionError
from buildernet.net.keepalive import MAX_HEAD_BYTES, Answer, parse_answer

PLAIN = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nRetry-After: 7\r\n\r\nhello"
CHUNKED = (
    b"HTTP/1.1 503 No\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    b"3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\n\r\n"
)
CONTINUED = b"HTTP/1.1 100 Continue\r\n\r\n" + PLAIN
EMPTY = b"HTTP/1.0 204 \r\n\r\n"
WHOLE = {
    PLAIN: (Answer(200, b"hello", "7"), True),
    CHUNKED: (Answer(503, b"hello", ""), False),
    CONTINUED: (Answer(200, b"hello", "7"), True),
    EMPTY: (Answer(204, b"", ""), False),
}


@pytest.mark.parametrize("data", WHOLE)
def test_answers_are_read(data: bytes) -> None:
    assert parse_answer(data, max_body_bytes=100) == WHOLE[data]


@pytest.mark.parametrize("data", WHOLE)
def test_every_part_of_an_answer_is_incomplete(data: bytes) -> None:
    for size in range(len(data)):
        assert parse_answer(data[:size], max_body_bytes=100) is None


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"SSH-2.0-x\r\n\r\n", "begins with"),
        (b"HTTP/1.1 2x0 OK\r\n\r\n", "begins with"),
        (b"HTTP/2 200 OK\r\n\r\n", "begins with"),
        (b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n", "header line"),
        (b"HTTP/1.1 200 OK\r\n\r\n", "no length"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "no length"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 101\r\n\r\n", "at most 100"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx", "contradicts"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxx", "longer than it says"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", "coded"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "chunk size"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n65\r\n", "more than 100"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxyz", "without its end"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\na: b\r\n\r\n", "trailers"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"0" * 2000, "endless"),
        (b"HTTP/1.1 200 OK\r\nA: " + b"x" * MAX_HEAD_BYTES, "head has more"),
    ],
)
def test_what_is_no_answer_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(KeptConnectionError, match=reason):
        parse_answer(data, max_body_bytes=100)


@given(st.sampled_from(list(WHOLE)), st.integers(0), st.integers(0, 255))
@example(PLAIN, 9, 0)
def test_a_changed_byte_gives_our_error_or_an_answer(data: bytes, at: int, byte: int) -> None:
    changed = bytearray(data)
    changed[at % len(data)] = byte
    with suppress(KeptConnectionError):
        parse_answer(changed, max_body_bytes=100)


@given(st.binary(max_size=300))
def test_nonsense_gives_our_error_or_waits(data: bytes) -> None:
    for prefix in (
        b"",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    ):
        with suppress(KeptConnectionError):
            parse_answer(prefix + data, max_body_bytes=100)
