# SPDX-License-Identifier: MIT
"""`attested-proxy` and its companions as processes, as an operator starts them."""

import os
import re
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Final

START_DEADLINE_S: Final = 30.0
"""A start takes half a second; the machine may be busy with a build."""

_LISTENING: Final = re.compile(r"listening address=\S*:(\d+)")


@dataclass
class Proxy:
    """A proxy that listens on these ports, in the order it opened them."""

    popen: subprocess.Popen[str]
    ports: list[int]

    @property
    def port(self) -> int:
        """The proxy's own port; those for health come first."""
        return self.ports[-1]


def run_tool(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `attested-get` or `get-measurements` to its end."""
    entry = {"attested-get": "main_get", "get-measurements": "main_measurements"}[program]
    code = f"import sys; from buildernet.attested_proxy.get_cli import {entry} as m; sys.exit(m())"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        timeout=START_DEADLINE_S,
        check=False,
    )


@contextmanager
def proxy(verb: str, *arguments: str, ports: int = 1, **environment: str) -> Iterator[Proxy]:
    """Run `attested-proxy` until it listens on that many ports."""
    command = [sys.executable, "-m", "buildernet.attested_proxy", verb, *arguments]
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env={**os.environ, **environment}
    ) as popen:
        try:
            assert popen.stderr is not None
            yield Proxy(popen, [_port(popen.stderr) for _ in range(ports)])
        finally:
            popen.kill()


def _port(log: IO[str]) -> int:
    seen = []
    while True:
        ready, _, _ = select.select([log], [], [], START_DEADLINE_S)
        line = log.readline() if ready else ""
        if found := _LISTENING.search(line):
            return int(found[1])
        seen.append(line)
        assert line, f"does not listen: {''.join(seen)}"
