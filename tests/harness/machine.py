# SPDX-License-Identifier: MIT
"""One virtual machine from start to stop: processes, states, and the cause when it ends early."""

from __future__ import annotations

import contextlib
import re
import socket
import subprocess
import tempfile
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Self

from tests.harness.console import Console
from tests.harness.deadline import Deadline
from tests.harness.errors import DeadlineError, HarnessError, QemuExitedError, QmpError
from tests.harness.qemu import USER_NETWORK_PORT, MachineSockets, MachineSpec, build_arguments
from tests.harness.qmp import QmpClient
from tests.harness.scanner import Neighbour
from tests.harness.swtpm import run_swtpm

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType
    from typing import IO

START_SECONDS: Final = 15.0
"""Until QEMU's monitor answers: a second on an idle host; several machines may start at once."""
QUIT_SECONDS: Final = 5.0
"""Until QEMU has exited after `quit`; then it is killed."""
HOST_FORWARD: Final = re.compile(
    r"^\s*TCP\[HOST_FORWARD\]\s+\S+\s+\S+\s+(?P<host>\d+)\s+\S+\s+(?P<guest>\d+)", re.MULTILINE
)
"""A line of `info usernet`: protocol, descriptor, host address and port, guest address and port."""


class State(StrEnum):
    """Where a machine is in its life."""

    NEW = "new"
    RUNNING = "running"
    STOPPED = "stopped"


class Machine:
    """A context manager: QEMU and swtpm run inside it and are gone after it.

    Args (constructor):
        spec: What the machine consists of.
        on_line: Called from the console's thread with every console line.
        tpm: Whether to attach a software TPM.
    """

    def __init__(
        self,
        spec: MachineSpec,
        *,
        on_line: Callable[[str], None] | None = None,
        tpm: bool = True,
    ) -> None:
        self.spec = spec
        self.state = State.NEW
        self.ports: dict[int, int] = {}
        self._on_line = on_line
        self._tpm = tpm
        self._stack = contextlib.ExitStack()
        self._console: Console | None = None
        self._qmp: QmpClient | None = None
        self._neighbour: Neighbour | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._stderr: IO[bytes] | None = None

    @property
    def console(self) -> Console:
        """The serial console.

        Raises:
            HarnessError: The machine was never started.
        """
        if self._console is None:
            raise HarnessError("the machine was not started")
        return self._console

    @property
    def qmp(self) -> QmpClient:
        """QEMU's monitor.

        Raises:
            HarnessError: The machine was never started.
        """
        if self._qmp is None:
            raise HarnessError("the machine was not started")
        return self._qmp

    def __enter__(self) -> Self:
        """Start swtpm and QEMU and wait until QEMU's monitor answers.

        Raises:
            QemuExitedError: QEMU refused its arguments or is not installed.
            SwtpmError: The TPM emulator did not start.
        """
        with contextlib.ExitStack() as stack:
            self._start(stack)
            self._stack = stack.pop_all()
        self.state = State.RUNNING
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def wait_for(
        self, pattern: str, deadline: Deadline, *, silence_seconds: float | None = None
    ) -> re.Match[str]:
        """Wait for a console line; see `Console.wait_for`.

        Raises:
            QemuExitedError: QEMU ended before the line came.
            BootFailedError, StalledError, DeadlineError: As `Console.wait_for`.
        """
        try:
            return self.console.wait_for(pattern, deadline, silence_seconds=silence_seconds)
        except DeadlineError as exc:
            if self.console.closed:
                raise self._exited() from exc
            raise

    def require_running(self, timeout_seconds: float = 0.0) -> None:
        """Return when the machine still runs after `timeout_seconds`, at once when it does not.

        Raises:
            BootFailedError: The console has shown a known failure.
            QemuExitedError: QEMU has ended.
        """
        if self.console.wait_end(timeout_seconds):
            raise self.console.failure or self._exited()

    def scan_ports(self, ports: Iterable[int], open_port: int, deadline: Deadline) -> set[int]:
        """The TCP ports on which the guest accepts connections; see `Neighbour.scan`.

        QEMU's user network is unplugged meanwhile: it would answer for any address.

        Raises:
            HarnessError: The machine has no neighbour (`MachineSpec.neighbour`).
            DeadlineError: `open_port` did not answer.
        """
        if self._neighbour is None:
            raise HarnessError("the machine has no neighbour on its network")
        self.qmp.execute("set_link", deadline=deadline, name=USER_NETWORK_PORT, up=False)
        try:
            return self._neighbour.scan(ports, open_port, deadline)
        finally:
            self.qmp.execute("set_link", deadline=deadline, name=USER_NETWORK_PORT, up=True)

    def stop(self) -> None:
        """End QEMU (asked first, then killed) and swtpm; harmless when already stopped."""
        self._stack.close()
        if self.state is State.RUNNING:
            self.state = State.STOPPED

    def _start(self, stack: contextlib.ExitStack) -> None:
        stderr = tempfile.TemporaryFile()  # noqa: SIM115  # entered right below
        self._stderr = stack.enter_context(stderr)
        tpm = stack.enter_context(run_swtpm()) if self._tpm else None
        console, console_theirs = socket.socketpair()
        qmp, qmp_theirs = socket.socketpair()
        stack.enter_context(console)
        stack.enter_context(qmp)
        network, network_theirs = socket.socketpair()
        stack.enter_context(network)
        with console_theirs, qmp_theirs, network_theirs:
            sockets = MachineSockets(
                console=console_theirs.fileno(),
                qmp=qmp_theirs.fileno(),
                tpm=tpm.fileno() if tpm is not None else None,
                network=network_theirs.fileno() if self.spec.neighbour else None,
            )
            self._process = self._spawn(sockets)
        stack.callback(self._end_process)
        if tpm is not None:
            tpm.close()  # QEMU holds its own copy; swtpm ends when that is gone
        self._console = Console(console, on_line=self._on_line)
        self._qmp = QmpClient(qmp)
        if self.spec.neighbour:
            self._neighbour = Neighbour(network)
        deadline = Deadline.after(START_SECONDS)
        try:
            self._qmp.negotiate(deadline)
            self.ports = self._forwarded_ports(deadline)
        except QmpError as exc:
            raise self._exited() from exc

    def _spawn(self, sockets: MachineSockets) -> subprocess.Popen[bytes]:
        ends = (sockets.console, sockets.qmp, sockets.tpm, sockets.network)
        inherited = [fd for fd in ends if fd is not None]
        # A test runner that is killed takes its machines with it.
        command = ["setpriv", "--pdeathsig", "KILL", *build_arguments(self.spec, sockets)]
        try:
            return subprocess.Popen(
                command,
                pass_fds=inherited,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._stderr,
            )
        except OSError as exc:
            raise QemuExitedError(f"cannot start {command[0]}: {exc}") from exc

    def _forwarded_ports(self, deadline: Deadline) -> dict[int, int]:
        """Guest port to host port, as QEMU bound them."""
        if not self.spec.guest_ports:
            return {}
        table = self.qmp.execute(
            "human-monitor-command", deadline=deadline, **{"command-line": "info usernet"}
        )
        ports = {int(m["guest"]): int(m["host"]) for m in HOST_FORWARD.finditer(str(table))}
        missing = set(self.spec.guest_ports) - ports.keys()
        if missing:
            raise QmpError(f"QEMU forwards no host port to the guest's {sorted(missing)}: {table}")
        return ports

    def _exited(self) -> QemuExitedError:
        """The error for a QEMU that is gone, with what it wrote to standard error."""
        if self._process is None or self._stderr is None:
            raise HarnessError("the machine was not started")
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(QUIT_SECONDS)
        self._stderr.seek(0)
        said = self._stderr.read().decode(errors="replace").strip() or "nothing on standard error"
        return QemuExitedError(
            f"QEMU ended with status {self._process.returncode}: {said}{self.console.tail()}",
            hint="run `make setup`" if "No such file" in said and "qemu-system" in said else None,
        )

    def _end_process(self) -> None:
        if self._process is None:
            return
        if self._process.poll() is None and self._qmp is not None:
            with contextlib.suppress(HarnessError):
                self._qmp.execute("quit", deadline=Deadline.after(QUIT_SECONDS))
        try:
            self._process.wait(QUIT_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._console is not None:
            self._console.join(QUIT_SECONDS)
