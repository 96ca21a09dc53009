# SPDX-License-Identifier: MIT
"""A software TPM of its own for a test, behind a socket pair: no port, nothing to wait for.

`SwtpmTCTI.nv` answers chosen NV indexes from memory: swtpm keeps at most 2048 bytes in an index,
Azure's HCL report has 2600.
"""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import socket
import struct
import subprocess
from typing import TYPE_CHECKING, Final

import pytest
from tpm2_pytss.TCTI import PyTCTI  # type: ignore[import-untyped]  # has no type information

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PCR_BANKS: Final = "sha1,sha256,sha384"
TIMEOUT_SECONDS: Final = 30.0
"""Making certificates takes a second; this bounds a broken installation."""
_HEADER: Final = struct.Struct(">HII")
_NO_SESSIONS: Final = 0x8001
_SESSIONS: Final = 0x8002
_NV_READ: Final = 0x14E
_NV_READ_PUBLIC: Final = 0x169
_OWNER_READ: Final = 0x0002_0000
_WRITTEN: Final = 0x2000_0000
_EMPTY_SESSION: Final = struct.pack(">HBH", 0, 1, 0)


class SwtpmTCTI(PyTCTI):  # type: ignore[misc]  # untyped
    """Commands go to swtpm, but for the NV indexes in `nv`."""

    def __init__(self, connection: socket.socket) -> None:
        super().__init__()
        self._connection = connection
        self._answer: bytes | None = None
        self.nv: dict[int, bytes] = {}

    def do_transmit(self, command: bytes) -> None:
        self._answer = self._answer_nv(command)
        if self._answer is None:
            self._connection.sendall(command)

    def do_receive(self, timeout: int) -> bytes:  # noqa: ARG002 -- the socket has its own
        if self._answer is not None:
            return self._answer
        header = self._take(_HEADER.size)
        return header + self._take(_HEADER.unpack(header)[1] - _HEADER.size)

    def _take(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            part = self._connection.recv(count - len(data))
            assert part, "swtpm ended"
            data += part
        return data

    def _answer_nv(self, command: bytes) -> bytes | None:
        code = _HEADER.unpack_from(command)[2]
        if code == _NV_READ_PUBLIC:
            (index,) = struct.unpack_from(">I", command, _HEADER.size)
            if index in self.nv:
                return self._public(index)
        if code == _NV_READ:
            (index,) = struct.unpack_from(">I", command, _HEADER.size + 4)
            if index in self.nv:
                size, offset = struct.unpack(">HH", command[-4:])
                part = self.nv[index][offset : offset + size]
                parameters = struct.pack(">H", len(part)) + part
                body = struct.pack(">I", len(parameters)) + parameters + _EMPTY_SESSION
                return _HEADER.pack(_SESSIONS, _HEADER.size + len(body), 0) + body
        return None

    def _public(self, index: int) -> bytes:
        area = struct.pack(">IHIHH", index, 0xB, _OWNER_READ | _WRITTEN, 0, len(self.nv[index]))
        name = b"\0\x0b" + hashlib.sha256(area).digest()
        body = b"".join(struct.pack(">H", len(part)) + part for part in (area, name))
        return _HEADER.pack(_NO_SESSIONS, _HEADER.size + len(body), 0) + body


@contextlib.contextmanager
def software_tpm(folder: Path) -> Iterator[SwtpmTCTI]:
    """Make a TPM with an endorsement certificate and run it.

    Args:
        folder: empty; gets the TPM's state and its certificate authority.
    """
    if shutil.which("swtpm") is None or shutil.which("swtpm_setup") is None:
        pytest.skip("needs swtpm (Debian packages swtpm and swtpm-tools)")
    _manufacture(folder)
    ours, theirs = socket.socketpair()
    ours.settimeout(TIMEOUT_SECONDS)
    with ours:
        with theirs:
            process = subprocess.Popen(
                [
                    *("swtpm", "socket", "--tpm2", "--terminate", "--fd", str(theirs.fileno())),
                    *("--tpmstate", f"dir={folder}"),
                    *("--flags", "not-need-init,startup-clear"),
                ],
                pass_fds=[theirs.fileno()],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        try:
            yield SwtpmTCTI(ours)
        finally:
            ours.close()
            process.terminate()
            process.wait(TIMEOUT_SECONDS)


def _manufacture(folder: Path) -> None:
    authority = folder / "authority"
    authority.mkdir()
    (folder / "localca.conf").write_text(
        f"statedir = {authority}\nsigningkey = {authority}/key.pem\n"
        f"issuercert = {authority}/ca.pem\ncertserial = {authority}/serial\n"
    )
    (folder / "localca.options").write_text(
        "--platform-manufacturer test\n--platform-version 1\n--platform-model test\n"
    )
    (folder / "setup.conf").write_text(
        f"create_certs_tool = {shutil.which('swtpm_localca')}\n"
        f"create_certs_tool_config = {folder}/localca.conf\n"
        f"create_certs_tool_options = {folder}/localca.options\n"
    )
    result = subprocess.run(
        [
            *("swtpm_setup", "--tpm2", "--tpmstate", str(folder), "--create-ek-cert"),
            *("--config", str(folder / "setup.conf"), "--pcr-banks", PCR_BANKS, "--overwrite"),
        ],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
