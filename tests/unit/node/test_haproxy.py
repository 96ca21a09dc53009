# SPDX-License-Identifier: MIT
"""What haproxy-certificate reads and writes; tests/service/test_haproxy.py has a real HAProxy."""

import socket
import threading
from pathlib import Path

import pytest

from buildernet.node import cli, haproxy
from buildernet.node.errors import CertificateError
from tests.support.haproxy import store
from tests.support.orderflow_nodes import Certificate, make_certificate

NAME = "/run/credentials/haproxy.service/node.pem"


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(haproxy, "PAIR_TIMEOUT_S", 0.2)


def test_name_is_found_among_others() -> None:
    assert haproxy.find_name(f"# filename\n*{NAME}\n{NAME}\n/etc/other.pem\n\n") == NAME


@pytest.mark.parametrize(
    "listing", ["", "# filename\n", "/a/other.pem", "/a/node.pem\n/b/node.pem"]
)
def test_list_without_exactly_one_is_refused(listing: str) -> None:
    with pytest.raises(CertificateError, match="does not have one"):
        haproxy.find_name(listing)


def test_pair_is_read_without_empty_lines(tmp_path: Path) -> None:
    certificate = make_certificate()
    store(tmp_path, Certificate(certificate.pem + "\n\n", certificate.key_pem))
    pem = haproxy.read_pair(tmp_path / "cert.pem", tmp_path / "key.pem")
    assert "\n\n" not in pem
    assert pem == certificate.key_pem + certificate.pem


@pytest.mark.parametrize("broken", ["missing", "another's key", "nonsense"])
def test_pair_that_does_not_fit_is_refused(tmp_path: Path, broken: str) -> None:
    one, other = make_certificate(), make_certificate()
    if broken == "another's key":
        store(tmp_path, Certificate(one.pem, other.key_pem))
    if broken == "nonsense":
        store(tmp_path, Certificate("é", "x"))
    with pytest.raises(CertificateError, match="do not fit") as caught:
        haproxy.read_pair(tmp_path / "cert.pem", tmp_path / "key.pem")
    assert "PRIVATE" not in str(caught.value)


def test_command_that_haproxy_refuses_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store(tmp_path, make_certificate())
    seen: list[bytes] = []
    answers = [f"{NAME}\n", "Transaction created\n", "Can't commit!\n", "Transaction aborted\n"]
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "admin.sock"))
        server.listen()

        def serve() -> None:
            for answer in answers:
                connection, _ = server.accept()
                with connection:
                    seen.append(connection.recv(1 << 16))
                    connection.sendall(answer.encode())

        thread = threading.Thread(target=serve)
        thread.start()
        code = cli.main(
            [
                "haproxy-certificate",
                f"--folder={tmp_path}",
                f"--admin-socket={tmp_path / 'admin.sock'}",
            ]
        )
        thread.join(timeout=10)
    assert code == 1
    assert "Can't commit!" in capsys.readouterr().err
    assert seen[1].startswith(f"set ssl cert {NAME} <<\n-----BEGIN".encode())
    assert seen[1].endswith(b"-----END CERTIFICATE-----\n\n\n")
    assert seen[3] == f"abort ssl cert {NAME}\n".encode()


def test_haproxy_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(CertificateError, match="does not answer"):
        haproxy.ask(tmp_path / "none.sock", "show ssl cert")
