# SPDX-License-Identifier: MIT
import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildernet.net.address import ListenAddress
from buildernet.net.errors import AddressError


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("192.0.2.1:3535", "192.0.2.1", 3535),
        (":80", None, 80),
        ("localhost:0", "localhost", 0),
        ("[::1]:65535", "::1", 65535),
    ],
)
def test_valid_addresses(text, host, port):
    address = ListenAddress.parse(text)
    assert address == ListenAddress(host, port)
    assert str(address) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "3535",
        "192.0.2.1",
        "192.0.2.1:",
        "192.0.2.1:65536",
        "192.0.2.1:+1",
        "192.0.2.1:1_0",
        "::1:80",
        "[192.0.2.1]:80",
        "example.org:80",
        "192.0.2.1:٣",
        "[::1:80",
        "192.0.2.1:-1",
        "1.2.3:4",
    ],
)
def test_invalid_addresses(text):
    with pytest.raises(AddressError):
        ListenAddress.parse(text)


@given(st.text(alphabet="0123456789.:[]abcdef", max_size=30) | st.text())
def test_any_text_round_trips_or_is_refused(text):
    try:
        address = ListenAddress.parse(text)
    except AddressError:
        return
    assert ListenAddress.parse(str(address)) == address
