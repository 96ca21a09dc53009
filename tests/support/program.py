# SPDX-License-Identifier: MIT
"""A Python program as a process that can be killed and started again, and how it is asked."""

import http.client
import json
import os
import random
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import psutil

from buildernet.base.errors import BuildernetError

ROOT: Final = Path(__file__).resolve().parents[2]

DEADLINE_S: Final = 60.0
"""What is waited for takes a few seconds; the machine may be busy with a build."""

_FIRST_PAUSE_S: Final = 0.01
_LONGEST_PAUSE_S: Final = 0.25
_PORTS: Final = (20_000, 32_000)
"""Below those that the kernel gives to outgoing connections: a restart finds its port free."""
_SHOWN_CHARS: Final = 2000


class ProgramError(BuildernetError):
    """A program ended, or what it should do does not come about."""


@dataclass
class Program:
    """A module and its arguments; the log is `FOLDER/NAME.log`, over all its lives."""

    name: str
    module: str
    arguments: list[str]
    folder: Path
    ready: Callable[[], bool]
    environment: dict[str, str] = field(default_factory=dict)
    popen: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Of the process that runs."""
        if self.popen is None:
            raise ProgramError(f"{self.name} does not run")
        return self.popen.pid

    @property
    def is_alive(self) -> bool:
        """Whether it was started and has not ended."""
        return self.popen is not None and self.popen.poll() is None

    def launch(self) -> None:
        """Start it."""
        with (self.folder / f"{self.name}.log").open("ab") as log:
            self.popen = subprocess.Popen(
                [sys.executable, "-m", self.module, *self.arguments],
                stdout=log,
                stderr=log,
                cwd=ROOT,
                env={**os.environ, **self.environment},
            )

    def wait(self) -> None:
        """Wait until it is ready.

        Raises:
            ProgramError: It ends, or is not ready in time.
        """
        wait_until(self._is_ready, f"{self.name} is ready")

    def start(self) -> None:
        """Start it and wait until it is ready."""
        self.launch()
        self.wait()

    def kill(self) -> None:
        """End it as a crash does."""
        if self.popen is not None:
            self.popen.send_signal(signal.SIGKILL)
            self.popen.wait(10)
            self.popen = None

    def stop(self) -> None:
        """End it as systemd does.

        Raises:
            ProgramError: It does not end well.
        """
        if self.popen is not None:
            self.popen.send_signal(signal.SIGTERM)
            if status := self.popen.wait(DEADLINE_S):
                raise ProgramError(f"{self.name} ended with {status}: {self._last_words()}")
            self.popen = None

    @contextmanager
    def restarted(self, *arguments: str, **environment: str) -> Iterator[None]:
        """Run it with more arguments and environment, and afterwards as before."""
        before = self.arguments, self.environment
        self.stop()
        self.arguments = [*self.arguments, *arguments]
        self.environment = {**self.environment, **environment}
        try:
            self.start()
            yield
        finally:
            self.kill()
            self.arguments, self.environment = before
            self.start()

    def rss(self) -> int:
        """Bytes of memory that it holds now."""
        return int(psutil.Process(self.pid).memory_info().rss)

    def _is_ready(self) -> bool:
        if not self.is_alive:
            raise ProgramError(f"{self.name} ended: {self._last_words()}")
        return self.ready()

    def _last_words(self) -> str:
        return (self.folder / f"{self.name}.log").read_text()[-_SHOWN_CHARS:].strip()


@contextmanager
def running(*programs: Program) -> Iterator[None]:
    """Start programs side by side, and kill them at the end."""
    try:
        for program in programs:
            program.launch()
        for program in programs:
            program.wait()
        yield
    finally:
        for program in programs:
            program.kill()


def wait_until(condition: Callable[[], bool], what: str, *, seconds: float = DEADLINE_S) -> None:
    """Poll until something is so, the longer it takes the less often.

    Raises:
        ProgramError: It does not come about in time.
    """
    end, pause_s = time.monotonic() + seconds, _FIRST_PAUSE_S
    while not condition():
        if time.monotonic() > end:
            raise ProgramError(f"not within {seconds:g} s: {what}")
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)


def free_port() -> int:
    """Return a port that nobody listens on."""
    while True:
        port = random.randrange(*_PORTS)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def listens(port: int) -> bool:
    """Whether somebody listens on a port of this machine."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


# Any: JSON values.
def ask(port: int, path: str, body: Any = None, *, tls: bool = False) -> tuple[int, bytes]:
    """GET, or POST when there is a body, from this machine; status 0 when nobody answers."""
    connection = (
        http.client.HTTPSConnection("127.0.0.1", port, timeout=30, context=client_context())
        if tls
        else http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    )
    try:
        data = None if body is None else json.dumps(body)
        connection.request("GET" if body is None else "POST", path, data)
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, http.client.HTTPException):
        return 0, b""
    finally:
        connection.close()


def client_context() -> ssl.SSLContext:
    """Takes every certificate: what was shown is looked at afterwards."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
