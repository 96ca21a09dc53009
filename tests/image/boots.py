# SPDX-License-Identifier: MIT
"""Boots of one image: from its disk, by `-kernel`, or from a changed copy."""

import contextlib
import itertools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import pytest

from tests.harness.artefacts import DeployedImage
from tests.harness.attested_port import ATTESTED_PORT
from tests.harness.boot import boot_image, boot_to_live
from tests.harness.deadline import Deadline
from tests.harness.errors import HarnessError
from tests.harness.guest_api import SYSTEM_API_PORT, GuestAPI
from tests.harness.machine import Machine
from tests.harness.qemu import Accelerator, MachineSpec

BOOT_SECONDS: Final = 240.0
"""Under TCG on a loaded 2-core machine, retry included; about 25 s when idle."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a booted machine tells about its boot."""

    machine: Machine
    api: GuestAPI
    log: bytes
    registers: bytes
    """registers.json as the guest wrote it."""
    reads: str
    """QEMU's trace of the blocks read until then."""


class Boots:
    """Starts machines from one deployed image."""

    def __init__(
        self,
        image: DeployedImage,
        accelerator: Accelerator,
        logs: Path,
        report: Callable[[str], None],
    ) -> None:
        self.image = image
        self.accelerator = accelerator
        self._logs = logs
        self.report = report
        self._numbers = itertools.count(1)

    def production(self) -> AbstractContextManager[Reading]:
        """The image as deployed, with a place for the test on its network."""
        ports = (SYSTEM_API_PORT, ATTESTED_PORT)
        spec = replace(self.spec(self.image.disk), guest_ports=ports, neighbour=True)
        return self.read(spec)

    def direct(self) -> AbstractContextManager[Reading]:
        """The image's UKI by `-kernel`, its disk attached."""
        return self.read(replace(self.spec(self.image.disk), kernel=self.image.uki))

    def spec(self, disk: Path) -> MachineSpec:
        """A machine that boots `disk`."""
        return MachineSpec(
            firmware=self.image.firmware,
            disk=disk,
            guest_ports=(SYSTEM_API_PORT,),
            accelerator=self.accelerator,
        )

    @contextlib.contextmanager
    def read(self, spec: MachineSpec) -> Iterator[Reading]:
        """Boot until the system-api answers and take the event log and the registers.

        Raises:
            HarnessError: As `boot_to_live` and `GuestAPI`.
        """
        deadline = Deadline.after(BOOT_SECONDS)
        trace = self._logs / f"reads-{next(self._numbers)}.txt"
        traced = replace(spec, read_trace=trace)
        with self._console() as on_line:
            booted = boot_to_live(traced, deadline, report=self.report, on_line=on_line)
            with booted as api:
                log, registers = api.event_log(), api.registers()
                yield Reading(api.machine, api, log, registers, trace.read_text())

    @contextlib.contextmanager
    def start(self, spec: MachineSpec) -> Iterator[Machine]:
        """Boot until user space has started; for images that are not expected to get further.

        Raises:
            HarnessError: As `boot_image`.
        """
        deadline = Deadline.after(BOOT_SECONDS)
        with self._console() as on_line:
            booted = boot_image(spec, deadline, report=self.report, on_line=on_line)
            with booted as machine:
                yield machine

    @contextlib.contextmanager
    def _console(self) -> Iterator[Callable[[str], None]]:
        path = self._logs / f"console-{next(self._numbers)}.txt"
        with path.open("w", encoding="utf-8", buffering=1) as file:
            yield lambda line: None if file.closed else print(line, file=file)


class Shared:
    """One boot for many tests; a failed one is raised once and skips whoever asks later."""

    def __init__(self, boot: Callable[[], AbstractContextManager[Reading]]) -> None:
        self._boot = boot
        self._stack = contextlib.ExitStack()
        self._reading: Reading | None = None
        self._failure: HarnessError | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()

    def reading(self) -> Reading:
        """What was read from the boot, which is made now if it was not yet.

        Raises:
            HarnessError: The boot failed, and this is the first test to ask.
        """
        if self._failure is not None:
            pytest.skip(f"the image did not boot: {self._failure}")
        if self._reading is None:
            try:
                self._reading = self._stack.enter_context(self._boot())
            except HarnessError as exc:
                self._failure = exc
                raise
        return self._reading
