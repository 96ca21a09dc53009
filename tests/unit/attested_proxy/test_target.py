# SPDX-License-Identifier: MIT
"""Addresses in the spellings of both tools."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from buildernet.attested_proxy.target import Target
from buildernet.base.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("https://10.0.0.5:7936", "https://10.0.0.5:7936"),
        ("10.0.0.5:7936/cert", "https://10.0.0.5:7936/cert"),
        ("rpc.example", "https://rpc.example"),
        ("http://localhost:14727", "http://localhost:14727"),
        ("[::1]:7936/cert", "https://[::1]:7936/cert"),
    ],
)
def test_spellings(text: str, url: str) -> None:
    assert str(Target.parse(text, default_scheme="https").url) == url


def test_port_is_443_unless_named() -> None:
    assert Target.parse("rpc.example", default_scheme="https").port == 443
    assert Target.parse("rpc.example", default_scheme="https").authority == "rpc.example"
    assert Target.parse("[::1]:7936/x", default_scheme="https").authority == "[::1]:7936"


@pytest.mark.parametrize(
    "text", ["", "ftp://x", "https://", "https://u@x", "x:99999", "x?y", "x#y", "https://:1", "::1"]
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(ConfigError):
        Target.parse(text, default_scheme="https")


@given(st.text(max_size=40))
@settings(max_examples=100)
def test_noise_raises_our_error_only(text: str) -> None:
    try:
        Target.parse(text, default_scheme="https")
    except ConfigError:
        return
