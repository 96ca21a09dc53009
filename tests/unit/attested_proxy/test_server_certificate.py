# SPDX-License-Identifier: MIT
"""Names in certificates, and which settings about a server fit together."""

from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.hashes import SHA256

from buildernet.attested_proxy.config import ClientConfig
from buildernet.attested_proxy.errors import ServerCertificateError
from buildernet.attested_proxy.server_certificate import require_name
from buildernet.base.errors import ConfigError
from tests.support.hub_identity import make_identity

PIN = "ab" * 32


@pytest.mark.parametrize(
    ("name", "host"),
    [
        ("hub.example", "hub.example"),
        ("Hub.Example", "hUB.example"),
        ("hub.example", "hub.example."),
        ("*.example.org", "hub.example.org"),
        ("10.0.0.5", "10.0.0.5"),
        ("2001:db8::1", "2001:db8:0::1"),
    ],
)
def test_host_that_a_certificate_names(name: str, host: str) -> None:
    require_name(make_identity("first.example", name).leaf, host)


@pytest.mark.parametrize(
    ("name", "host"),
    [
        ("hub.example", "example"),
        ("hub.example", "a.hub.example"),
        ("hub.example", "hub.example.evil.org"),
        ("*.example.org", "example.org"),
        ("*.example.org", "a.b.example.org"),
        ("*.example.org", ".example.org.evil.org"),
        ("*.org", "example.org"),
        ("h*.example.org", "hub.example.org"),
        ("*", "hub"),
        ("10.0.0.5", "10.0.0.50"),
        ("10.0.0.5", "hub.example"),
    ],
)
def test_host_that_a_certificate_does_not_name(name: str, host: str) -> None:
    with pytest.raises(ServerCertificateError, match="not for"):
        require_name(make_identity(name).leaf, host)


def test_common_name_is_no_host() -> None:
    leaf = make_identity().leaf
    with pytest.raises(ServerCertificateError, match="is for no host"):
        require_name(leaf, "hub of a test")


def test_fingerprints_in_every_spelling() -> None:
    digest = make_identity().leaf.fingerprint(SHA256())
    spelled = ":".join(f"{byte:02X}" for byte in digest)
    config = ClientConfig("hub", server_certificate_sha256=f"{PIN}, {spelled},")
    assert config.pinned == {bytes.fromhex(PIN), digest}
    assert ClientConfig("hub").pinned == frozenset()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"server_certificate_sha256": "ab"}, "no SHA-256"),
        ({"server_certificate_sha256": "xy" * 32}, "no SHA-256"),
        (
            {"server_certificate_sha256": PIN, "tls_ca_certificate": Path("x")},
            "replaces tls_ca_certificate",
        ),
        ({"server_certificate_sha256": PIN, "verify_tls": True}, "replaces tls_ca_certificate"),
        (
            {"server_certificate_sha256": PIN, "dangerously_accept_unauthenticated_server": True},
            "contradicts",
        ),
        ({"verify_tls": True, "dangerously_accept_unauthenticated_server": True}, "contradicts"),
        ({"server_certificate_sha256": PIN, "protocol": "a"}, "protocol A"),
        ({"tls_ca_certificate": Path("x"), "protocol": "a"}, "protocol A"),
    ],
)
def test_settings_that_contradict_each_other(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        ClientConfig("hub", **settings)
