# SPDX-License-Identifier: MIT
"""Buckets of signers."""

import pytest

from buildernet.orderflow_proxy.rate_limit import BYTES_PER_TOKEN, OrderRateError, RateLimiter


class Clock:
    def __init__(self) -> None:
        self.now = 123456.789

    def __call__(self) -> float:
        return self.now


def drain(limiter: RateLimiter, signer: bytes) -> int:
    taken = 0
    while True:
        try:
            limiter.take(signer)
        except OrderRateError:
            return taken
        taken += 1


@pytest.mark.parametrize("rate", [1, 3, 500])
def test_a_burst_is_one_seconds_worth_and_refills(rate):
    clock = Clock()
    limiter = RateLimiter(rate, clock=clock)
    assert drain(limiter, b"a") == rate
    assert drain(limiter, b"b") == rate
    clock.now += 10 / rate + 1e-6
    assert drain(limiter, b"a") == min(rate, 10)
    clock.now += 100
    assert drain(limiter, b"a") == rate


def test_a_refused_order_costs_nothing():
    clock = Clock()
    limiter = RateLimiter(2, clock=clock)
    drain(limiter, b"a")
    for _ in range(100):
        assert drain(limiter, b"a") == 0
    clock.now += 0.51
    assert drain(limiter, b"a") == 1


def test_zero_is_no_limit():
    limiter = RateLimiter(0)
    for _ in range(10_000):
        limiter.take(b"a")
    assert len(limiter) == 0


def test_signers_are_bounded():
    limiter = RateLimiter(1, capacity=10)
    for number in range(1000):
        limiter.take(number.to_bytes(20))
    assert len(limiter) == 10


def test_a_large_order_costs_several_but_never_more_than_a_full_bucket():
    clock = Clock()
    limiter = RateLimiter(10, clock=clock)
    limiter.take(b"a", 4 * BYTES_PER_TOKEN)
    assert drain(limiter, b"a") == 5
    clock.now += 1.001
    limiter.take(b"a", 1000 * BYTES_PER_TOKEN)
    assert drain(limiter, b"a") == 0
    clock.now += 1.001
    assert drain(limiter, b"a") == 10
