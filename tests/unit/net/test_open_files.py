# SPDX-License-Identifier: MIT
import resource
from collections.abc import Iterator

import pytest

from buildernet.net import open_files


@pytest.fixture(autouse=True)
def low() -> Iterator[tuple[int, int]]:
    """A soft limit as a shell's, for the time of a test."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, before[1]))
    yield before
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_the_soft_limit_is_raised_as_far_as_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_files, "MAX_OPEN_FILES", 2048)
    open_files.raise_limit()
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 2048
    monkeypatch.setattr(open_files, "MAX_OPEN_FILES", 1500)
    open_files.raise_limit()
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 2048  # never lowered


def test_a_sandbox_that_forbids_it_is_no_reason_to_stop(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError("not permitted")

    monkeypatch.setattr(resource, "setrlimit", refuse)
    open_files.raise_limit()
    monkeypatch.undo()
    assert "open_files_limited soft=1024" in caplog.text
