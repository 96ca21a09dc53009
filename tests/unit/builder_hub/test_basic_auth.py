# SPDX-License-Identifier: MIT
import asyncio
import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildernet.base.errors import ConfigError
from buildernet.builder_hub.basic_auth import (
    MAX_ADDRESSES,
    MAX_FAILURES,
    MAX_FAILURES_IN_ALL,
    WINDOW_S,
    BasicAuth,
    require_hash,
)
from tests.support.builder_hub import PASSWORD, PASSWORD_HASH


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def make_auth() -> tuple[BasicAuth, Clock]:
    clock = Clock()
    return BasicAuth("admin", PASSWORD_HASH.encode(), clock), clock


def header(password: str, user: str = "admin") -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


async def test_right_password_is_let_in_and_forgives() -> None:
    auth, _ = make_auth()
    for _ in range(MAX_FAILURES - 1):
        assert await auth.check(header("wrong"), "a") is None
    assert await auth.check(header(PASSWORD), "a") == "admin"
    assert await auth.check(header("wrong"), "a") is None
    assert not auth.is_blocked("a")


async def test_failures_of_an_address_block_it_for_a_while() -> None:
    auth, clock = make_auth()
    for _ in range(MAX_FAILURES):
        assert not auth.is_blocked("a")
        await auth.check(header("wrong"), "a")
    assert auth.is_blocked("a")
    assert not auth.is_blocked("b")
    clock.now += WINDOW_S
    assert not auth.is_blocked("a")


async def test_guesses_at_the_same_moment_all_count() -> None:
    auth, _ = make_auth()
    await asyncio.gather(*(auth.check(header(str(n)), "a") for n in range(MAX_FAILURES)))
    assert auth.is_blocked("a")


async def test_failures_of_many_addresses_block_everybody() -> None:
    auth, _ = make_auth()
    for number in range(MAX_FAILURES_IN_ALL):
        auth._fail(str(number))
    assert auth.is_blocked("someone else")


async def test_memory_of_addresses_is_bounded() -> None:
    auth, _ = make_auth()
    for number in range(MAX_ADDRESSES + 10):
        auth._fail(str(number))
    assert len(auth._failures) == MAX_ADDRESSES


async def test_no_hash_lets_nobody_in() -> None:
    auth = BasicAuth("admin", require_hash(""), Clock())
    assert await auth.check(header("nobody"), "a") is None


@given(st.text(max_size=60))
def test_any_other_header_is_no_login(text: str) -> None:
    auth, _ = make_auth()
    assert asyncio.run(auth.check(text if ":" in text else f"Bearer {text}", "a")) is None


def test_hash_is_one() -> None:
    assert require_hash(PASSWORD_HASH) == PASSWORD_HASH.encode()
    for text in ("plain", "$2b$", "$1$abc"):
        with pytest.raises(ConfigError, match="bcrypt") as error:
            require_hash(text)
        assert text not in str(error.value)


def test_repr_holds_no_hash() -> None:
    assert PASSWORD_HASH not in repr(make_auth()[0])
