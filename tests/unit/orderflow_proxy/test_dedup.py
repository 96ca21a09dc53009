# SPDX-License-Identifier: MIT
"""The memory of taken orders: what it finds, for how long, how much it holds."""

from hypothesis import given, settings
from hypothesis import strategies as st

from buildernet.orderflow_proxy.dedup import GENERATIONS, SeenKeys


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def key(number: int) -> bytes:
    return number.to_bytes(16)


def test_a_key_is_found_for_its_time_and_little_longer():
    clock = Clock()
    seen = SeenKeys(capacity=1000, ttl_s=60, clock=clock)
    assert key(1) not in seen
    seen.add(key(1))
    clock.now += 59.9
    assert key(1) in seen
    clock.now += 60 / 7 + 0.2
    assert key(1) not in seen
    assert len(seen) == 0


def test_a_key_stays_for_its_time_wherever_in_a_generation_it_came():
    for late in range(20):
        clock = Clock()
        seen = SeenKeys(capacity=1000, ttl_s=7, clock=clock)
        clock.now += late * 0.5
        seen.add(key(late))
        for _ in range(69):
            clock.now += 0.1
            assert key(late) in seen
        clock.now += 1.2
        assert key(late) not in seen


def test_looking_up_does_not_remember():
    seen = SeenKeys(capacity=10, ttl_s=60)
    assert key(1) not in seen
    assert key(1) not in seen


def test_the_oldest_go_first_when_there_are_too_many():
    seen = SeenKeys(capacity=80, ttl_s=60)
    for number in range(1000):
        seen.add(key(number))
        assert len(seen) <= 80
    assert all(key(number) in seen for number in range(1000 - 70, 1000))
    assert key(900) not in seen
    assert seen.pushed_out == 1000 - len(seen)


def test_after_a_long_pause_it_starts_afresh():
    clock = Clock()
    seen = SeenKeys(capacity=80, ttl_s=7, clock=clock)
    seen.add(key(1))
    clock.now += 1e6
    assert key(1) not in seen
    seen.add(key(2))
    clock.now += 6.9
    assert key(2) in seen


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 30), st.floats(0, 5)), max_size=60))
def test_it_never_forgets_early_nor_holds_too_many(steps):
    clock = Clock()
    seen = SeenKeys(capacity=GENERATIONS * 40, ttl_s=10, clock=clock)
    added: dict[int, float] = {}
    for number, pause in steps:
        clock.now += pause
        seen.add(key(number))
        added[number] = clock.now
        for other, moment in added.items():
            if clock.now - moment < 10:
                assert key(other) in seen
            elif clock.now - moment > 10 * 8 / 7 + 0.001:
                assert key(other) not in seen
