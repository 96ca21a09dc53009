# SPDX-License-Identifier: MIT
from contextlib import suppress
from time import process_time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from buildernet.net.errors import KeptConnectionError
from buildernet.net.keepalive import (
    MAX_CHUNKS,
    MAX_HEAD_BYTES,
    MAX_INTERIM,
    Answer,
    AnswerReader,
    KeepAliveConnection,
)

PLAIN = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nRetry-After: 7\r\n\r\nhello"
CHUNKED = (
    b"HTTP/1.1 503 No\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    b"3\r\nhel\r\n02\r\nlo\r\n0\r\n\r\n"
)
CHUNKS_BEGIN = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
CONTINUED = b"HTTP/1.1 100 Continue\r\n\r\n" + PLAIN
EMPTY = b"HTTP/1.0 204 \r\n\r\n"
WHOLE = {
    PLAIN: (Answer(200, b"hello"), True),
    CHUNKED: (Answer(503, b"hello"), False),
    CONTINUED: (
        Answer(
            200,
            b"hello",
        ),
        True,
    ),
    EMPTY: (Answer(204, b""), False),
}


@pytest.mark.parametrize("data", WHOLE)
def test_answers_are_read(data: bytes) -> None:
    assert read(data) == WHOLE[data]


def read(data: bytes | bytearray) -> tuple[Answer, bool] | None:
    return AnswerReader(max_body_bytes=100).feed(bytes(data))


@pytest.mark.parametrize("data", WHOLE)
def test_every_part_of_an_answer_is_incomplete(data: bytes) -> None:
    for size in range(len(data)):
        assert read(data[:size]) is None


@given(st.lists(st.sampled_from(list(WHOLE)), max_size=3), st.integers(1, 40))
def test_answers_that_arrive_in_parts_are_the_same(answers: list[bytes], size: int) -> None:
    reader = AnswerReader(max_body_bytes=100)
    for data in answers:
        parts = [reader.feed(data[at : at + size]) for at in range(0, len(data), size)]
        assert parts == [None] * (len(parts) - 1) + [WHOLE[data]]
        assert not reader.has_begun


class Transport:
    """What a connection asks of one."""

    aborted = False

    def is_closing(self) -> bool:
        return self.aborted

    def write(self, data: bytes) -> None:
        pass

    def abort(self) -> None:
        self.aborted = True


@pytest.mark.parametrize("block", [b"1\r\nx\r\n", b"1;" + b"y" * 60 + b"\r\nx\r\n", b"000"])
async def test_an_answer_in_crumbs_costs_little_time_and_memory(block: bytes) -> None:
    """Each part was read again from the start of the answer: 12 s of processor time for 1 MiB."""
    lost: list[object] = []
    connection = KeepAliveConnection(max_body_bytes=10 << 20, on_lost=lost.append)
    transport = Transport()
    connection.connection_made(transport)  # type: ignore[arg-type]
    outcomes: list[object] = []
    connection.send(b"x", timeout_s=60, done=outcomes.append)
    connection.data_received(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    part, started, fed = block * (4096 // len(block)), process_time(), 0
    while not transport.aborted and fed < 8 << 20:
        connection.data_received(part)
        fed += len(part)
    assert transport.aborted
    assert isinstance(outcomes[0], KeptConnectionError)
    assert fed < 1 << 20
    assert process_time() - started < 2


@pytest.mark.parametrize(
    ("data", "begun"),
    [(b"", False), (b"H", True), (b"HTTP/1.1 100 \r\n\r\n", True), (PLAIN, False)],
)
def test_an_answer_has_begun_with_its_first_byte(data: bytes, begun: bool) -> None:
    reader = AnswerReader(max_body_bytes=100)
    reader.feed(data)
    assert reader.has_begun is begun


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"HTTP/1.1 100 \r\n\r\n" * (MAX_INTERIM + 1), "only 1xx"),
        (CHUNKS_BEGIN + b"1;x=y\r\n", "chunk size"),
        (CHUNKS_BEGIN + b"0x1\r\n", "chunk size"),
        (CHUNKS_BEGIN + b"+1\r\n", "chunk size"),
        (CHUNKS_BEGIN + b"1\r\nx\r\n" * (MAX_CHUNKS + 1), "more than"),
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
        (CHUNKED + b"x", "longer than it says"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"0" * 2000, "endless"),
        (b"HTTP/1.1 200 OK\r\nA: " + b"x" * MAX_HEAD_BYTES, "head has more"),
    ],
)
def test_what_is_no_answer_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(KeptConnectionError, match=reason):
        read(data)


@given(st.sampled_from(list(WHOLE)), st.integers(0), st.integers(0, 255))
@example(PLAIN, 9, 0)
def test_a_changed_byte_gives_our_error_or_an_answer(data: bytes, at: int, byte: int) -> None:
    changed = bytearray(data)
    changed[at % len(data)] = byte
    with suppress(KeptConnectionError):
        read(changed)


@given(st.binary(max_size=300))
def test_nonsense_gives_our_error_or_waits(data: bytes) -> None:
    for prefix in (
        b"",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    ):
        with suppress(KeptConnectionError):
            read(prefix + data)
