# SPDX-License-Identifier: MIT
"""Who vouches for a server: a file of certificates, or the system."""

import ssl

import pytest

from buildernet.base.errors import ConfigError
from buildernet.net.authority import trusting
from tests.support.orderflow_nodes import Certificate, make_certificate


def shake(client: ssl.SSLContext, shown: Certificate, name: str = "127.0.0.1") -> None:
    """Shake hands in memory."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = shown.server_context().wrap_bio(to_server, to_client, server_side=True)
    visitor = client.wrap_bio(to_client, to_server, server_hostname=name)
    for side in (visitor, server, visitor, server):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue


def test_each_of_several_certificates_with_one_name_is_taken(tmp_path):
    """What an operator has in the file while he replaces a self-signed one."""
    made = [make_certificate("archive") for _ in range(3)]
    (tmp_path / "a.pem").write_text("".join(one.pem for one in made))
    for shown in made:
        shake(trusting(tmp_path / "a.pem"), shown)


def test_another_certificate_and_another_name_are_refused(tmp_path):
    known = make_certificate("archive")
    (tmp_path / "a.pem").write_text(known.pem)
    for shown, name in (
        (make_certificate("archive"), "127.0.0.1"),
        (known, "127.0.0.2"),
        (known, "archive.example"),
    ):
        with pytest.raises(ssl.SSLCertVerificationError):
            shake(trusting(tmp_path / "a.pem"), shown, name)
    with pytest.raises(ssl.SSLCertVerificationError):
        shake(trusting(None), known)


@pytest.mark.parametrize("content", [None, "", "no certificate"])
def test_a_file_without_certificates_is_told(tmp_path, content):
    file = tmp_path / "a.pem"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ConfigError, match="cannot read certificates from"):
        trusting(file)
