# SPDX-License-Identifier: MIT
"""The monitor client against a scripted QEMU."""

import contextlib
import json
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.harness.deadline import Deadline
from tests.harness.errors import DeadlineError, HarnessError, QmpError
from tests.harness.qmp import QmpClient

GREETING = b'{"QMP": {"version": {}, "capabilities": []}}\r\n'


@contextlib.contextmanager
def scripted(answers: bytes, *, closed: bool = False):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(answers)
        if closed:
            theirs.shutdown(socket.SHUT_WR)
        yield QmpClient(ours), theirs


def test_events_are_skipped_and_the_result_returned():
    answers = GREETING + b'{"event": "RESUME"}\n{"return": {}}\n{"event": "X"}\n{"return": 7}\n'
    with scripted(answers) as (client, qemu):
        client.negotiate(Deadline.after(5))
        assert client.execute("query-status", deadline=Deadline.after(5), full=True) == 7
        sent = [json.loads(line) for line in qemu.recv(4096).splitlines()]
    assert sent == [
        {"execute": "qmp_capabilities"},
        {"execute": "query-status", "arguments": {"full": True}},
    ]


def test_a_refusal_is_an_error():
    answer = b'{"error": {"class": "CommandNotFound", "desc": "no"}}\n'
    refusal = pytest.raises(QmpError, match=r"refused nonsense.*CommandNotFound")
    with scripted(answer) as (client, _), refusal:
        client.execute("nonsense", deadline=Deadline.after(5))


def test_a_closed_monitor_is_an_error():
    with scripted(b"", closed=True) as (client, _), pytest.raises(QmpError, match="closed"):
        client.negotiate(Deadline.after(5))


def test_silence_ends_with_the_deadline():
    with scripted(b"") as (client, _), pytest.raises(DeadlineError):
        client.negotiate(Deadline.after(0.05))


@given(st.binary(max_size=200))
def test_garbage_raises_only_our_errors(garbage):
    ours_only = contextlib.suppress(HarnessError)
    with scripted(garbage + b"\n", closed=True) as (client, _), ours_only:
        client.negotiate(Deadline.after(5))
