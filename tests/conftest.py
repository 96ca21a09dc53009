# SPDX-License-Identifier: MIT
"""Every test starts from the same environment, whatever the shell that started it had set."""

import logging
import os
from collections.abc import Iterator

import pytest

_OURS = ("SYSTEM_API_", "BUILDERNET_")


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith(_OURS) or name == "NOTIFY_SOCKET":
            monkeypatch.delenv(name)


@pytest.fixture
def _root_logger() -> Iterator[None]:
    """Put back what a command under test configures."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
