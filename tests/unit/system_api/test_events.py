# SPDX-License-Identifier: MIT
import json
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from buildernet.system_api.events import Event, EventLog, as_json, as_text


@pytest.fixture
def registry():
    return CollectorRegistry()


@pytest.fixture
def log(registry):
    ticks = iter(range(10**9, 10**12))
    return EventLog(3, registry=registry, clock_ns=lambda: next(ticks))


def test_the_newest_events_stay_and_the_dropped_are_counted(log, registry):
    for number in range(5):
        log.append(f"event {number}", source="fifo")
    assert [event.message for event in log.snapshot()] == ["event 2", "event 3", "event 4"]
    assert registry.get_sample_value("system_api_events_dropped_total") == 2
    assert registry.get_sample_value("system_api_events_total", {"source": "fifo"}) == 5
    assert registry.get_sample_value("system_api_events_stored") == 3


@pytest.mark.parametrize("message", ["", " ", "\n\t"])
def test_an_empty_event_is_ignored(log, message):
    log.append(message, source="http")
    assert log.snapshot() == ()


def test_white_space_around_an_event_goes(log):
    log.append("  a b \n", source="http")
    assert log.snapshot()[0].message == "a b"


def test_no_events():
    assert "".join(as_json(())) == "[]\n"
    assert "".join(as_text(())) == ""


@pytest.mark.parametrize(
    ("moment_ns", "in_json", "in_text"),
    [
        (0, "1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z"),
        (1_700_000_000_123_456_789, "2023-11-14T22:13:20.123456789Z", "2023-11-14T22:13:20Z"),
        (1_700_000_000_120_000_000, "2023-11-14T22:13:20.12Z", "2023-11-14T22:13:20Z"),
        (1_700_000_000_999_999_999, "2023-11-14T22:13:20.999999999Z", "2023-11-14T22:13:20Z"),
    ],
)
def test_times_as_the_predecessor_writes_them(moment_ns, in_json, in_text):
    events = (Event(moment_ns, "m"),)
    assert json.loads("".join(as_json(events))) == [{"received_at": in_json, "message": "m"}]
    assert "".join(as_text(events)) == f"{in_text} \t m\n"


_EVENTS = st.lists(st.builds(Event, st.integers(0, 2**62), st.text(st.characters())), max_size=4)


@given(_EVENTS)
def test_json_holds_exactly_what_was_sent(events):
    document = json.loads("".join(as_json(tuple(events))))
    assert [entry["message"] for entry in document] == [event.message for event in events]
    for entry, event in zip(document, events, strict=True):
        moment = datetime.fromisoformat(entry["received_at"].split(".")[0].rstrip("Z") + "+00:00")
        assert moment.timestamp() == event.received_at_ns // 10**9


@given(_EVENTS)
def test_text_has_one_printable_line_per_event(events):
    text = "".join(as_text(tuple(events)))
    text.encode()
    assert text.count("\n") == len(events)
    for line in text.splitlines():
        _, separator, message = line.partition(" \t ")
        assert separator
        assert message.isprintable()
