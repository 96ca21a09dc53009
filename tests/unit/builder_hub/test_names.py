# SPDX-License-Identifier: MIT
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildernet.builder_hub import names
from buildernet.builder_hub.errors import BadRequestError

PARSERS: list[Callable[[object], object]] = [
    lambda value: names.parse_name(value, "name"),
    names.parse_measurement_name,
    names.parse_region,
    names.parse_dns_name,
    names.parse_ip,
    names.parse_address,
]


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("1.2.3.4", "1.2.3.4"),
        ("::ffff:1.2.3.4", "1.2.3.4"),
        ("2001:DB8:0:0::1", "2001:db8::1"),
    ],
)
def test_address_has_one_form(text: str, normal: str) -> None:
    assert names.parse_ip(text) == normal


@pytest.mark.parametrize("value", ["", "1.2.3", "1.2.3.4/32", "::1%lo", 16909060, None, " ::1"])
def test_no_address_is_refused(value: object) -> None:
    with pytest.raises(BadRequestError, match="ip_address"):
        names.parse_ip(value)


@pytest.mark.parametrize("text", ["a", "a.b-c.d", "_acme.x.y", "A.B", "x.", "a.b:5544"])
def test_dns_name_is_taken(text: str) -> None:
    assert names.parse_dns_name(text) == text.lower()


@pytest.mark.parametrize(
    "text", ["-a", "a-", "a..b", "a b", "a" * 64, "a." * 127 + "aa", "a\n", "a:", "a:0", ":1"]
)
def test_no_dns_name_is_refused(text: str) -> None:
    with pytest.raises(BadRequestError):
        names.parse_dns_name(text)


def test_no_dns_name_at_all_is_none() -> None:
    assert names.parse_dns_name("") is names.parse_dns_name(None) is None


@pytest.mark.parametrize("name", ["ip", "name", "dns_name", "A", "1a", "a" * 33, "a-b", ""])
def test_service_may_not_have_this_name(name: str) -> None:
    assert not names.is_service(name)


@pytest.mark.parametrize("parser", PARSERS)
@given(value=st.one_of(st.text(max_size=300), st.none(), st.integers(), st.lists(st.text())))
def test_anything_else_raises_our_error_only(
    parser: Callable[[object], object], value: object
) -> None:
    try:
        parsed = parser(value)
    except BadRequestError:
        return
    assert parsed is None or str(parsed).isprintable()
