# SPDX-License-Identifier: MIT
"""Events: the newest ones in memory, and their two forms on the wire.

They are lost at a restart: the node has no disk an operator could trust for them.
"""

import json
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge

OWN_PREFIX: Final = "[system-api] "
"""In front of what the service itself reports."""

_NS: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Event:
    """One line somebody reported."""

    received_at_ns: int
    """Nanoseconds since 1970, UTC."""
    message: str


class EventLog:
    """A bounded list of events, oldest first; counts what it takes and what it drops."""

    def __init__(
        self,
        capacity: int,
        *,
        registry: CollectorRegistry,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        """Create an empty log.

        Args:
            capacity: Events kept.
            registry: Where its metrics go.
            clock_ns: Nanoseconds since 1970.
        """
        self._events: deque[Event] = deque(maxlen=capacity)
        self._clock_ns = clock_ns
        self._taken = Counter("system_api_events", "Events taken.", ["source"], registry=registry)
        self._dropped = Counter(
            "system_api_events_dropped", "Oldest events dropped by newer ones.", registry=registry
        )
        stored = Gauge("system_api_events_stored", "Events in memory.", registry=registry)
        stored.set_function(lambda: len(self._events))

    def append(self, message: str, *, source: str) -> None:
        """Add an event without the white space around it; an empty one is ignored.

        Args:
            message: At most `MAX_EVENT_BYTES` long: the caller checks or cuts.
            source: `fifo`, `http` or `own`, for the metric.
        """
        message = message.strip()
        if not message:
            return
        if len(self._events) == self._events.maxlen:
            self._dropped.inc()
        self._events.append(Event(self._clock_ns(), message))
        self._taken.labels(source).inc()

    def snapshot(self) -> tuple[Event, ...]:
        """Return the events kept now, oldest first."""
        return tuple(self._events)


def as_json(events: tuple[Event, ...]) -> Iterator[str]:
    """Yield a JSON array of `{"received_at": RFC 3339, "message": …}` in parts."""
    for index, event in enumerate(events):
        entry = {"received_at": _rfc3339(event.received_at_ns, fraction=True)}
        entry["message"] = event.message
        yield ("," if index else "[") + json.dumps(entry, separators=(",", ":"))
    yield "]\n" if events else "[]\n"


def as_text(events: tuple[Event, ...]) -> Iterator[str]:
    """Yield one line per event: time in seconds, space, tab, space, message.

    Control characters are escaped: an event can neither forge another one nor drive a terminal.
    """
    for event in events:
        moment = _rfc3339(event.received_at_ns, fraction=False)
        yield f"{moment} \t {_printable(event.message)}\n"


def _rfc3339(moment_ns: int, *, fraction: bool) -> str:
    """Format a time in UTC; a fraction has nine digits less the trailing zeros, as Go writes it."""
    seconds, ns = divmod(moment_ns, _NS)
    digits = f".{ns:09d}".rstrip("0").rstrip(".") if fraction else ""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}{digits}Z"


def _printable(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
