# SPDX-License-Identifier: MIT
"""A PostgreSQL cluster of our own: unix socket only, unprivileged user, gone with the test run.

Nothing of the machine's own clusters is touched. It is stopped by the number of its process.
"""

import asyncio
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Final

import asyncpg  # type: ignore[import-untyped]  # it ships no types
import psutil
import pytest

START_DEADLINE_S: Final = 60.0
"""A start takes a second; the machine may be busy with a build."""

STOP_DEADLINE_S: Final = 30.0

_USER: Final = "nobody"
_NUMBERS: Final = count()


@dataclass
class Postgres:
    """One cluster that can be killed and started again."""

    programs: Path
    folder: Path
    address: str = ""
    """Where it listens beside its socket; nowhere by default."""
    process: subprocess.Popen[bytes] | None = None
    databases: list[str] = field(default_factory=list)

    @property
    def sockets(self) -> Path:
        return self.folder / "s"

    def url(self, name: str) -> str:
        """Return the URL of a database, as an operator would write it."""
        return f"postgres://hub@/{name}?host={self.sockets}"

    def start(self) -> None:
        """Start the server and wait until it answers."""
        options = [
            "-c",
            f"listen_addresses={self.address}",
            "-c",
            "fsync=off",
            "-c",
            "shared_buffers=8MB",
        ]
        command = [str(self.programs / "postgres"), "-D", str(self.folder / "d")]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                _unprivileged([*command, "-k", str(self.sockets), *options]),
                stdout=subprocess.DEVNULL,
                stderr=log,
                cwd=self.folder,
            )
        deadline = time.monotonic() + START_DEADLINE_S
        while not self._answers():
            assert self.process.poll() is None, (self.folder / "log").read_text()
            assert time.monotonic() < deadline, "PostgreSQL does not answer"

    def kill(self) -> None:
        """End the server as a crash would."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End the server, cutting its connections."""
        self._end(signal.SIGINT)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Let every process of the server stand still: connections stay, and nothing answers."""
        assert self.process is not None
        server = psutil.Process(self.process.pid)
        processes = [server, *server.children(recursive=True)]
        for process in processes:
            process.suspend()
        try:
            yield
        finally:
            for process in processes:
                process.resume()

    def discard(self) -> None:
        """End the server at once, without the checkpoint that nobody will read."""
        self._end(signal.SIGQUIT)

    def create(self, *, template: str | None = None) -> str:
        """Make a new database and return its name."""
        name = f"t{next(_NUMBERS)}"
        asyncio.run(
            self.run(f"CREATE DATABASE {name}" + (f" TEMPLATE {template}" if template else ""))
        )
        return name

    async def run(self, statement: str, *values: str, database: str = "postgres") -> None:
        """Run a statement; `$1` in it is the first of the values."""
        connection = await asyncpg.connect(
            host=str(self.sockets), user="hub", database=database, timeout=5
        )
        try:
            await connection.execute(statement, *values)
        finally:
            await connection.close()

    def _answers(self) -> bool:
        ready = [str(self.programs / "pg_isready"), "-q", "-h", str(self.sockets), "-t", "1"]
        return subprocess.run(ready, check=False).returncode == 0

    def _end(self, number: int) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)
            self.process.wait(STOP_DEADLINE_S)
        self.process = None


def find_programs() -> Path | None:
    """Return the folder of the newest installed server; None when there is none."""
    versions = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3])
    )
    if versions:
        return versions[-1].parent
    found = shutil.which("initdb")
    return Path(found).resolve().parent if found else None


@contextmanager
def running_postgres(*, address: str = "") -> Iterator[Postgres]:
    """Make a cluster and start it; skips the test when PostgreSQL is not installed."""
    programs = find_programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed (apt: postgresql)")
    # Not below pytest's folder: that one is closed to other users. Short: sockets have 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    try:
        cluster = Postgres(programs, folder, address)
        cluster.sockets.mkdir()
        if os.geteuid() == 0:
            nobody = pwd.getpwnam(_USER)
            for path in (folder, cluster.sockets):
                os.chown(path, nobody.pw_uid, nobody.pw_gid)
        init = [str(programs / "initdb"), "--no-sync", "--auth=trust", "--username=hub"]
        init += ["--encoding=UTF8", "--locale=C", "--no-instructions", "-D", str(folder / "d")]
        subprocess.run(
            _unprivileged(init), check=True, stdout=subprocess.DEVNULL, cwd=folder, timeout=120
        )
        try:
            cluster.start()
            yield cluster
        finally:
            cluster.discard()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _unprivileged(command: Sequence[str]) -> list[str]:
    """PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return list(command)
    nobody = pwd.getpwnam(_USER)
    drop = ["setpriv", f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups"]
    return [*drop, *command]
