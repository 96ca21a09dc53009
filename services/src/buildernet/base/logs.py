# SPDX-License-Identifier: MIT
"""Logging of services: one JSON object per line on standard error, for the journal.

Only a `cli.py` calls `configure`; everything else takes `logging.getLogger(__name__)`.
No secrets and no transaction bodies at INFO.
"""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any, Final, TextIO

MAX_MESSAGE_CHARS: Final = 8192
"""A longer message is cut: the journal splits lines at 48 KiB, and a peer must not fill the log."""

_TEXT_FORMAT: Final = "%(asctime)s %(levelname)s %(name)s %(message)s"


class TextFormatter(logging.Formatter):
    """Formats a record as one line for a person, an exception's traceback below it, indented.

    Control characters of the message are escaped: a path or header in it may hold line breaks, and
    what follows them would pass for a line of ours.
    """

    def __init__(self) -> None:
        """Take the one text format there is."""
        super().__init__(_TEXT_FORMAT)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (logging's name)
        """Return the line without its newline; never contains a line break."""
        record.message = _printable(record.message[:MAX_MESSAGE_CHARS])
        return super().formatMessage(record)

    # Any: as logging declares it.
    def formatException(self, ei: Any) -> str:  # noqa: N802
        """Return the traceback; no line of it starts like a record."""
        lines = super().formatException(ei).split("\n")
        return "\n".join(f"  {_printable(line)}" for line in lines)


class JsonFormatter(logging.Formatter):
    """Formats a record as one line: ts, level, logger, msg and, after an exception, exc."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line without its newline; never contains a line break."""
        moment = datetime.fromtimestamp(record.created, UTC)
        entry = {
            "ts": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "msg": record.getMessage()[:MAX_MESSAGE_CHARS],
        }
        if record.exc_info:
            entry["exc"] = self.formatException(record.exc_info)
        return json.dumps(entry)


def configure(*, as_json: bool, debug: bool, stream: TextIO | None = None) -> None:
    """Send every log record to one stream, replacing what was configured before.

    Args:
        as_json: JSON lines for machines; False gives plain lines for a person at a terminal.
        debug: Include DEBUG records.
        stream: Where to write; standard error when None.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter() if as_json else TextFormatter())
    logging.basicConfig(
        level=logging.DEBUG if debug else logging.INFO, handlers=[handler], force=True
    )


def _printable(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )
