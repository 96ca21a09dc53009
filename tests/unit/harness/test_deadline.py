# SPDX-License-Identifier: MIT
"""A deadline counts down once and is shared by nested waits."""

import pytest

from tests.harness.deadline import Deadline
from tests.harness.errors import DeadlineError


def test_remaining_never_grows_and_never_goes_below_zero():
    deadline = Deadline.after(100)
    first = deadline.remaining()
    assert 0 < deadline.remaining() <= first <= 100
    assert Deadline(5, at_monotonic=0.0).remaining() == 0.0


def test_require_names_what_was_awaited_when_over():
    with pytest.raises(DeadlineError, match=r"not within 5 s: the moon"):
        Deadline(5, at_monotonic=0.0).require("the moon")


def test_elapsed_starts_at_zero():
    assert 0 <= Deadline.after(10).elapsed() < 5
