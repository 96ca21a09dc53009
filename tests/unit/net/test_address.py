# SPDX-License-Identifier: MIT
import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildernet.base.errors import ConfigError
from buildernet.net.address import ListenAddress, is_local, require_encrypted
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


@pytest.mark.parametrize(
    "url",
    [
        "",
        "https://hub.example",
        "http://127.0.0.1:8645",
        "http://127.9.9.9",
        "http://localhost:1/path",
        "http://[::1]:7937",
    ],
)
def test_what_is_encrypted_or_stays_here_is_fine(url: str) -> None:
    require_encrypted("endpoint", url)


@pytest.mark.parametrize(
    "url",
    ["http://10.0.2.2:8645", "http://hub.example", "HTTP://localhost.example", "http://[::2]"],
)
def test_plain_http_to_another_machine_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match=r"endpoint .* unencrypted to another machine"):
        require_encrypted("endpoint", url)


def test_what_is_no_url_is_an_error_of_ours() -> None:
    with pytest.raises(ConfigError, match="is no URL"):
        require_encrypted("endpoint", "http://[::1")


def test_the_hint_names_what_this_setting_has() -> None:
    with pytest.raises(ConfigError) as caught:
        require_encrypted("endpoint", "http://hub.example", hint="use https")
    assert caught.value.hint == "use https"


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.1.2.3", "::1"])
def test_what_stays_on_this_machine(host: str) -> None:
    assert is_local(host)
    assert ListenAddress(host, 1).is_local


@pytest.mark.parametrize("host", ["", "0.0.0.0", "::", "10.0.0.1", "localhost.example", "[::1]"])  # noqa: S104
def test_what_others_reach(host: str) -> None:
    assert not is_local(host)
    assert not ListenAddress(host, 1).is_local
    assert not ListenAddress.parse(":80").is_local
