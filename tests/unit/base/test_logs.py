# SPDX-License-Identifier: MIT
import io
import json
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildernet.base import logs


def _record(message: str, **more) -> logging.LogRecord:
    return logging.makeLogRecord(
        {"name": "a.b", "levelno": 20, "levelname": "INFO", "msg": message, "created": 0.5, **more}
    )


@given(st.text())
def test_any_message_becomes_one_json_line(message):
    line = logs.JsonFormatter().format(_record(message))
    assert line.isascii()
    assert "\n" not in line
    assert json.loads(line) == {
        "ts": "1970-01-01T00:00:00.500Z",
        "level": "info",
        "logger": "a.b",
        "msg": message,
    }


def test_a_huge_message_is_cut():
    line = logs.JsonFormatter().format(_record("x" * 1_000_000))
    assert len(json.loads(line)["msg"]) == logs.MAX_MESSAGE_CHARS


def test_an_exception_stays_on_the_line():
    try:
        raise ValueError("two\nlines")
    except ValueError as exc:
        record = _record("failed", exc_info=(type(exc), exc, exc.__traceback__))
    line = logs.JsonFormatter().format(record)
    assert "\n" not in line
    assert "two\nlines" in json.loads(line)["exc"]


@pytest.mark.usefixtures("_root_logger")
@pytest.mark.parametrize(("debug", "count"), [(False, 1), (True, 2)])
def test_debug_records_appear_only_when_asked(debug, count):
    stream = io.StringIO()
    logs.configure(as_json=True, debug=debug, stream=stream)
    logging.getLogger("x").info("one")
    logging.getLogger("x").debug("two")
    assert len(stream.getvalue().splitlines()) == count
