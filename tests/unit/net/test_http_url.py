# SPDX-License-Identifier: MIT
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildernet.base.errors import ConfigError
from buildernet.net.http_url import parse_http_url


@pytest.mark.parametrize(
    "url", ["http://b", "http://[::1]:1/x", "http://a-b.c:9", "HTTP://1.2.3.4"]
)
def test_urls_are_taken(url: str) -> None:
    assert parse_http_url("x", url).hostname


@pytest.mark.parametrize(
    "url",
    ["", "b", "127.0.0.1:8545", "https://b", "http://", "http://b:0", "http://b:70000", "http://b:x",
     "http://a..b", "http://u:p@b", "http://[::1", "http:// b", "http://" + "a" * 64],
)  # fmt: skip
def test_others_are_refused_with_the_settings_name(url: str) -> None:
    with pytest.raises(ConfigError, match=r"^builder\.endpoint '.*' is no http URL$") as caught:
        parse_http_url("builder.endpoint", url)
    assert caught.value.hint


def test_schemes_are_the_callers() -> None:
    assert parse_http_url("x", "https://b", schemes=("http", "https")).scheme == "https"
    with pytest.raises(ConfigError, match="is no http or https URL"):
        parse_http_url("x", "ftp://b", schemes=("http", "https"))


@given(st.text(max_size=30))
def test_any_text_is_a_url_or_our_error(text: str) -> None:
    for url in (text, "http://" + text):
        with suppress(ConfigError):
            assert parse_http_url("x", url).hostname
