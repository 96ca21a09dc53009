# SPDX-License-Identifier: MIT
import asyncio
import base64

import bcrypt
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
from buildernet.builder_hub.errors import TooManyLoginsError
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


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The hashes that passwords were compared with."""
    seen: list[bytes] = []
    real = bcrypt.checkpw

    def check(password: bytes, expected: bytes) -> bool:
        seen.append(expected)
        return real(password, expected)

    monkeypatch.setattr(bcrypt, "checkpw", check)
    return seen


async def fail(auth: BasicAuth, address: str, times: int) -> None:
    for number in range(times):
        assert await auth.check(header(f"wrong {number}"), address) is None


async def test_right_password_is_let_in_and_forgives() -> None:
    auth, _ = make_auth()
    for _ in range(MAX_FAILURES - 1):
        assert await auth.check(header("wrong"), "a") is None
    assert await auth.check(header(PASSWORD), "a") == "admin"
    assert await auth.check(header("wrong"), "a") is None
    auth.require_heard("a")


async def test_guesses_do_not_keep_the_admin_out() -> None:
    auth, _ = make_auth()
    assert await auth.check(header(PASSWORD), "a") == "admin"
    await fail(auth, "a", MAX_FAILURES)
    for _ in range(3):
        assert await auth.check(header(PASSWORD), "a") == "admin"
    with pytest.raises(TooManyLoginsError):  # the right password forgave nobody else's guesses
        await auth.check(header("wrong"), "a")


async def test_requests_at_the_same_moment_are_all_let_in(hashed: list[bytes]) -> None:
    auth, _ = make_auth()
    found = await asyncio.gather(*(auth.check(header(PASSWORD), "a") for _ in range(40)))
    assert found == ["admin"] * 40
    assert len(hashed) <= 2  # the others wait for these


async def test_credentials_that_were_right_are_no_longer_after_a_change() -> None:
    auth, _ = make_auth()
    assert await auth.check(header(PASSWORD), "a") == "admin"
    auth.password_hash = bcrypt.hashpw(b"another", bcrypt.gensalt(rounds=4))
    assert await auth.check(header(PASSWORD), "a") is None
    auth.password_hash = None
    assert await auth.check(header(PASSWORD), "a") is None
    auth, _ = make_auth()
    assert await auth.check(header(PASSWORD), "a") == "admin"
    auth.user = "root"
    assert await auth.check(header(PASSWORD), "a") is None


async def test_only_whole_credentials_are_remembered() -> None:
    auth, _ = make_auth()
    assert await auth.check(header(PASSWORD), "a") == "admin"
    for other in (header(PASSWORD + "x"), header(PASSWORD, "adminx"), header(PASSWORD, "")):
        assert await auth.check(other, "a") is None


async def test_any_name_costs_the_configured_hash(hashed: list[bytes]) -> None:
    auth, _ = make_auth()
    for user in ("admin", "nobody", ""):
        assert await auth.check(header("wrong", user), "a") is None
    assert hashed == [PASSWORD_HASH.encode()] * 3


async def test_failures_of_an_address_block_it_for_a_while() -> None:
    auth, clock = make_auth()
    await fail(auth, "a", MAX_FAILURES)
    with pytest.raises(TooManyLoginsError):
        await auth.check(header(PASSWORD), "a")
    assert await auth.check(header("wrong"), "b") is None
    clock.now += WINDOW_S
    assert await auth.check(header(PASSWORD), "a") == "admin"


async def test_guesses_at_the_same_moment_all_count() -> None:
    auth, _ = make_auth()
    checks = (auth.check(header(str(n)), "a") for n in range(2 * MAX_FAILURES))
    found = await asyncio.gather(*checks, return_exceptions=True)
    assert found.count(None) == MAX_FAILURES
    assert sum(isinstance(one, TooManyLoginsError) for one in found) == MAX_FAILURES


async def test_failures_of_many_addresses_block_everybody() -> None:
    auth, _ = make_auth()
    for number in range(MAX_FAILURES_IN_ALL):
        auth._fail(str(number))
    with pytest.raises(TooManyLoginsError):
        auth.require_heard("someone else")


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
    auth, _ = make_auth()
    asyncio.run(auth.check(header(PASSWORD), "a"))
    assert PASSWORD_HASH not in repr(auth)
    assert repr(auth._key) not in repr(auth)
