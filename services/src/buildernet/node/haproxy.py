# SPDX-License-Identifier: MIT
"""Give HAProxy the node's certificate after a rotation, through its admin socket.

Runs when attested-proxy has replaced the certificate. HAProxy shows the new one on new connections;
open ones stay. The key goes from one memory-backed folder into HAProxy's memory, nowhere else.

Reference: HAProxy management guide, section 9.3: commands "set ssl cert" and "commit ssl cert".
"""

import re
import socket
import ssl
import time
from pathlib import Path
from typing import Final

from buildernet.base.bounded_file import read_file
from buildernet.node.errors import CertificateError

CERTIFICATE_NAME: Final = "node.pem"
"""What haproxy.cfg calls it; the folder before it is systemd's."""

PAIR_TIMEOUT_S: Final = 10.0
"""Key and certificate are replaced one after the other, within milliseconds."""

SOCKET_TIMEOUT_S: Final = 5.0
_MAX_ANSWER_BYTES: Final = 64 * 1024
_MAX_FILE_BYTES: Final = 256 * 1024
_PAUSE_S: Final = 0.05
_NAME: Final = re.compile(r"/[!-~]{1,300}")


def replace_certificate(folder: Path, *, admin_socket: Path) -> str:
    """Hand over what stands in a folder.

    Args:
        folder: Holds `cert.pem` and `key.pem`, as attested-proxy leaves them.
        admin_socket: HAProxy's.

    Returns:
        HAProxy's name of the certificate that was replaced.

    Raises:
        CertificateError: The two do not belong together for `PAIR_TIMEOUT_S`, HAProxy does not
            answer, or it refuses.
    """
    pem = read_pair(folder / "cert.pem", folder / "key.pem")
    name = find_name(ask(admin_socket, "show ssl cert"))
    answer = ask(admin_socket, f"set ssl cert {name} <<\n{pem}\n")
    if "Transaction" not in answer:
        raise CertificateError(f"HAProxy does not take the certificate: {_first_line(answer)}")
    answer = ask(admin_socket, f"commit ssl cert {name}")
    if "Success!" not in answer:
        ask(admin_socket, f"abort ssl cert {name}")
        raise CertificateError(f"HAProxy does not use the certificate: {_first_line(answer)}")
    return name


def read_pair(certificate: Path, key: Path) -> str:
    """Return key and certificate as one PEM text without empty lines, once they fit each other.

    Raises:
        CertificateError: They do not in `PAIR_TIMEOUT_S`.
    """
    end = time.monotonic() + PAIR_TIMEOUT_S
    while True:
        try:
            pem = _read(key) + _read(certificate)
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
            if pem == _read(key) + _read(certificate):  # what was checked is what was read
                return pem
            reason = "being replaced"
        except (OSError, ValueError, CertificateError) as exc:  # ssl.SSLError is an OSError
            reason = str(exc)
        if time.monotonic() > end:
            raise CertificateError(
                f"{key} and {certificate} do not fit each other: {reason}",
                hint="attested-proxy.service makes both",
            )
        time.sleep(_PAUSE_S)


def find_name(listing: str) -> str:
    """Return the certificate's name from HAProxy's list.

    Raises:
        CertificateError: None or several of the names end in `CERTIFICATE_NAME`.
    """
    names = {
        line.strip().lstrip("*")
        for line in listing.splitlines()
        if line.strip().endswith("/" + CERTIFICATE_NAME)
    }
    if len(names) != 1 or _NAME.fullmatch(name := names.pop()) is None:
        raise CertificateError(f"HAProxy does not have one certificate called {CERTIFICATE_NAME}")
    return name


def ask(admin_socket: Path, command: str) -> str:
    """Send one command to HAProxy and return its answer.

    Raises:
        CertificateError: It does not answer.
    """
    answer = bytearray()
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(SOCKET_TIMEOUT_S)
            connection.connect(str(admin_socket))
            connection.sendall(command.encode() + b"\n")
            while (part := connection.recv(4096)) and len(answer) < _MAX_ANSWER_BYTES:
                answer += part
    except OSError as exc:
        raise CertificateError(f"HAProxy does not answer at {admin_socket}: {exc}") from exc
    return answer.decode("ascii", "replace")


def _read(path: Path) -> str:
    lines = (
        read_file(path, limit=_MAX_FILE_BYTES, error=CertificateError).decode("ascii").splitlines()
    )
    return "".join(f"{line}\n" for line in lines if line.strip())  # an empty line ends a command


def _first_line(text: str) -> str:
    return next((line for line in text.splitlines() if line.strip()), "no answer")[:200]
