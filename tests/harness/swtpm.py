# SPDX-License-Identifier: MIT
"""One software TPM for one boot: fresh state, sha256 and sha384 banks, a passed socket."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import tempfile
from typing import TYPE_CHECKING, Final

from tests.harness.errors import SwtpmError

if TYPE_CHECKING:
    from collections.abc import Iterator

PCR_BANKS: Final = "sha256,sha384"
"""sha256 is what TPM policies pin; sha384 holds the very digests that TDX extends into RTMRs."""
SETUP_TIMEOUT_SECONDS: Final = 30.0
"""Manufacturing takes well under a second; this only bounds a broken installation."""
STOP_TIMEOUT_SECONDS: Final = 5.0
"""swtpm ends by itself when QEMU closes the connection; then it is killed."""


@contextlib.contextmanager
def run_swtpm() -> Iterator[socket.socket]:
    """Run a TPM emulator and yield the socket that QEMU must inherit.

    The two ends are created before either program starts, so there is no path to wait for.

    Raises:
        SwtpmError: swtpm is not installed or could not make its state.
    """
    with tempfile.TemporaryDirectory(prefix="swtpm-") as state:
        _manufacture(state)
        ours, theirs = socket.socketpair()
        with ours:
            with theirs:
                process = subprocess.Popen(
                    [
                        *(
                            "setpriv",
                            "--pdeathsig",
                            "KILL",
                            "swtpm",
                            "socket",
                            "--tpm2",
                            "--terminate",
                        ),
                        *("--tpmstate", f"dir={state}"),
                        *("--ctrl", f"type=unixio,clientfd={theirs.fileno()}"),
                    ],
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                )
            try:
                yield ours
            finally:
                ours.close()  # swtpm ends when the last copy of this end is gone
                _stop(process)


def _manufacture(state: str) -> None:
    command = [
        "swtpm_setup",
        "--tpm2",
        "--tpmstate",
        state,
        "--pcr-banks",
        PCR_BANKS,
        "--overwrite",
    ]
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=SETUP_TIMEOUT_SECONDS)
    except FileNotFoundError as exc:
        raise SwtpmError("swtpm_setup is not installed", hint="run `make setup`") from exc
    except subprocess.CalledProcessError as exc:
        output = (exc.stdout + exc.stderr).decode(errors="replace").strip()
        raise SwtpmError(f"swtpm_setup failed: {output}") from exc
    except subprocess.TimeoutExpired as exc:
        raise SwtpmError(f"swtpm_setup did not end within {SETUP_TIMEOUT_SECONDS:g} s") from exc


def _stop(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(STOP_TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
