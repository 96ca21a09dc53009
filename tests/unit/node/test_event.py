# SPDX-License-Identifier: MIT
import os

import pytest

from buildernet.base.paths import MAX_EVENT_BYTES
from buildernet.node.errors import EventError
from buildernet.node.event import send_event


@pytest.fixture
def fifo(tmp_path):
    path = tmp_path / "fifo"
    os.mkfifo(path)
    return path


@pytest.fixture
def reader(fifo):
    descriptor = os.open(fifo, os.O_RDWR | os.O_NONBLOCK)
    yield descriptor
    os.close(descriptor)


@pytest.mark.parametrize("message", ["hello", "ünïcode", "x" * (MAX_EVENT_BYTES - 1), "\udcff"])
def test_a_message_arrives_as_one_line(fifo, reader, message):
    send_event(message, fifo=fifo)
    assert os.read(reader, 10_000) == message.encode(errors="surrogateescape") + b"\n"


@pytest.mark.parametrize("message", ["", "  ", "two\nlines", "x" * MAX_EVENT_BYTES])
def test_what_is_no_line_is_refused(fifo, reader, message):
    with pytest.raises(EventError):
        send_event(message, fifo=fifo)
    with pytest.raises(BlockingIOError):
        os.read(reader, 1)


def test_nobody_reading_is_said_at_once(fifo):
    with pytest.raises(EventError, match="nobody reads it") as caught:
        send_event("hello", fifo=fifo)
    assert "system-api" in (caught.value.hint or "")


def test_a_full_fifo_is_said_at_once(fifo, reader):
    os.write(reader, b"x" * 65536)  # the default capacity
    with pytest.raises(EventError, match="is full"):
        send_event("hello", fifo=fifo)


def test_a_regular_file_is_left_alone(tmp_path):
    path = tmp_path / "file"
    path.write_text("precious")
    with pytest.raises(EventError, match="is not a FIFO"):
        send_event("hello", fifo=path)
    assert path.read_text() == "precious"
