# SPDX-License-Identifier: MIT
"""Processes of the demonstration: started as an operator starts them, ended with it."""

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from buildernet.base.errors import BuildernetError

START_SECONDS: Final = 60.0
"""A start takes two seconds; two machines boot beside it."""

_LISTENING: Final = re.compile(r"listening address=[^\s\"]*:(\d+)")
_SHOWN_CHARS: Final = 600


class DemoError(BuildernetError):
    """A part of the demonstration does not do what it should."""


@dataclass(frozen=True, slots=True)
class Running:
    """A process and the ports it listens on, in the order it opened them."""

    name: str
    popen: subprocess.Popen[bytes]
    log: Path
    ports: tuple[int, ...]

    @property
    def port(self) -> int:
        """The last one: the service's own."""
        return self.ports[-1]

    def require_alive(self) -> None:
        """Raise `DemoError` when it has ended."""
        if self.popen.poll() is not None:
            raise DemoError(f"{self.name} ended: {self.log.read_text()[-_SHOWN_CHARS:].strip()}")


@contextmanager
def running(
    name: str, module: str, *arguments: str, work: Path, ports: int, **environment: str
) -> Iterator[Running]:
    """Run a module of ours until it listens on that many ports; its log is `work/NAME.log`.

    Raises:
        DemoError: It ends, or does not listen in time.
    """
    log = work / f"{name}.log"
    with log.open("wb") as stream:
        popen = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            cwd=work,
            stdout=stream,
            stderr=stream,
            env={**os.environ, **environment},
        )
    try:
        deadline = time.monotonic() + START_SECONDS
        while len(found := _LISTENING.findall(log.read_text())) < ports:
            Running(name, popen, log, ()).require_alive()
            if time.monotonic() > deadline:
                raise DemoError(f"{name} does not listen after {START_SECONDS:g} s")
            time.sleep(0.02)
        yield Running(name, popen, log, tuple(int(port) for port in found))
    finally:
        popen.terminate()
        try:
            popen.wait(5)
        except subprocess.TimeoutExpired:
            popen.kill()
            popen.wait(5)


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on: they are told to a machine before anyone does."""
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        return [int(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()
