# SPDX-License-Identifier: MIT
"""Times of arrival."""

from buildernet.orderflow_proxy.clock import ArrivalClock


def test_times_never_repeat_or_go_back():
    readings = iter([5_000, 5_000, 9_000, 2_000, 20_000_000])
    clock = ArrivalClock(lambda: next(readings))
    assert [clock.now_us() for _ in range(5)] == [5, 6, 9, 10, 20_000]


def test_wall_time_follows_the_system():
    readings = iter([5_000_000_000, 1_000_000_000])
    clock = ArrivalClock(lambda: next(readings))
    assert [clock.wall_s() for _ in range(2)] == [5.0, 1.0]


def test_a_body_gets_a_time_for_each_of_its_orders():
    clock = ArrivalClock(lambda: 1_000_000)
    first = clock.now_us(100)
    assert [first, clock.now_us(), clock.now_us()] == [1000, 1100, 1101]
