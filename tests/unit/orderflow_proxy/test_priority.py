# SPDX-License-Identifier: MIT
"""Classes of orders, and the scores of their signers."""

from dataclasses import replace

import pytest

from buildernet.orderflow_proxy.order import OrderKind, OrderPriority
from buildernet.orderflow_proxy.priority import BUCKET_S, BUCKETS, Scores, Traits, classify

HIGH, MEDIUM, LOW = OrderPriority.HIGH, OrderPriority.MEDIUM, OrderPriority.LOW
PLAIN = Traits(OrderKind.BUNDLE, has_blobs=False, cannot_fail=False, is_replaceable=False)
TRANSACTION = replace(PLAIN, kind=OrderKind.TRANSACTION, cannot_fail=True)


class Clock:
    def __init__(self) -> None:
        self.now = 50.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("traits", "score", "expected"),
    [
        (PLAIN, None, LOW),
        (PLAIN, 0.0, MEDIUM),
        (PLAIN, 2.9, MEDIUM),
        (PLAIN, 3.0, LOW),
        (replace(PLAIN, is_replaceable=True), 0.0, HIGH),
        (replace(PLAIN, is_replaceable=True), 3.0, LOW),
        (replace(PLAIN, has_blobs=True, is_replaceable=True), 0.0, LOW),
        (TRANSACTION, 0.0, HIGH),
        (TRANSACTION, 5.9, HIGH),
        (TRANSACTION, None, LOW),
        (replace(TRANSACTION, has_blobs=True), 0.0, LOW),
    ],
)
def test_an_order_has_its_class(traits, score, expected):
    assert classify(traits, score=score) is expected


def test_the_upper_threshold_has_an_effect():
    """In FlowProxy it has none: services.md 1.13."""
    assert classify(TRANSACTION, score=5.99) is HIGH
    assert classify(TRANSACTION, score=6.0) is LOW


def test_a_cancellation_is_high_by_rule():
    """In FlowProxy it is because an empty list satisfies "every": services.md 1.13."""
    cancel = replace(PLAIN, kind=OrderKind.CANCELLATION)
    for score in (None, 0.0, 8.0):
        assert classify(cancel, score=score) is HIGH


def test_requests_and_invalid_ones_raise_a_score():
    scores = Scores(clock=Clock())
    assert scores.score(b"a") is None
    scores.count(b"a")
    assert scores.score(b"a") == 0.0
    for _ in range(99):
        scores.count(b"a")
    assert scores.score(b"a") == pytest.approx(2.0)
    for _ in range(900):
        scores.count(b"a", invalid=True)
    assert scores.score(b"a") == pytest.approx(3.0 + 4.5)


def test_a_score_is_a_mean_over_a_minute_and_fades():
    clock = Clock()
    scores = Scores(clock=clock)
    for _ in range(100):
        scores.count(b"a", invalid=True)
    assert scores.score(b"a") == pytest.approx(7.0)
    for _ in range(6):
        clock.now += BUCKET_S
        scores.count(b"a")
    assert scores.score(b"a") == pytest.approx(1.0)
    clock.now += BUCKET_S * BUCKETS
    assert scores.score(b"a") is None


def test_signers_are_bounded():
    scores = Scores(capacity=10)
    for number in range(100):
        scores.count(number.to_bytes(20))
    assert len(scores) == 10
