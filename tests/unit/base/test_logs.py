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


def _text(message: str, **more) -> str:
    return logs.TextFormatter().format(_record(message, **more))


@given(st.text())
def test_any_message_becomes_one_text_line(message):
    line = _text(message)
    assert line.isprintable()
    assert " INFO a.b " in line


def test_a_message_cannot_forge_a_line():
    forged = "path=/x\n2026-01-01 00:00:00,000 INFO a.b admin_login user=admin\x1b[2J\u2028"
    assert "path=/x\\n2026-01-01" in _text(forged)
    assert _text("tab\tand é").endswith("tab\\tand é")
    assert len(_text("x" * 1_000_000)) < logs.MAX_MESSAGE_CHARS + 100


def test_a_traceback_is_indented_below_its_line():
    try:
        raise ValueError("one\n2026-01-01 00:00:00,000 INFO forged\r\x1b[2J")
    except ValueError as exc:
        text = _text("failed", exc_info=(type(exc), exc, exc.__traceback__))
    first, *others = text.split("\n")
    assert first.endswith("failed")
    assert len(others) > 2
    assert all(line.startswith("  ") and line.isprintable() for line in others)


@pytest.mark.usefixtures("_root_logger")
def test_text_is_for_a_person():
    stream = io.StringIO()
    logs.configure(as_json=False, debug=False, stream=stream)
    logging.getLogger("x").info("a\nb")
    assert stream.getvalue().endswith(" INFO x a\\nb\n")
