# SPDX-License-Identifier: MIT
"""Boots an image until its system-api answers; one reported retry for an early hang under TCG."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

from tests.harness.errors import StalledError
from tests.harness.guest_api import GuestAPI
from tests.harness.machine import Machine
from tests.harness.qemu import Accelerator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.harness.deadline import Deadline
    from tests.harness.qemu import MachineSpec

SILENCE_SECONDS: Final = 40.0
"""Longest quiet stretch before user space; the longest seen (stub hashing the UKI) is < 10 s."""
USER_SPACE: Final = r"initrd: |Run /init as init process"
"""The first sign of life of user space; behind it a silent console is normal."""


@contextlib.contextmanager
def boot_image(
    spec: MachineSpec,
    deadline: Deadline,
    *,
    report: Callable[[str], None],
    on_line: Callable[[str], None] | None = None,
) -> Iterator[Machine]:
    """Run a machine whose user space has started.

    Args:
        spec: The machine.
        deadline: For both attempts together.
        report: Told in one line when the first attempt hung and is repeated.
        on_line: Called with every console line.

    Raises:
        BootFailedError, QemuExitedError, DeadlineError: As `Machine.wait_for`; `StalledError` when
            the second attempt hangs too, or the first under KVM.
    """
    with contextlib.ExitStack() as stack:
        machine = stack.enter_context(Machine(spec, on_line=on_line))
        try:
            machine.wait_for(USER_SPACE, deadline, silence_seconds=SILENCE_SECONDS)
        except StalledError as exc:
            if spec.accelerator is not Accelerator.TCG:
                raise
            report(f"boot hung under TCG, trying once more: {exc}")
            stack.close()
            machine = stack.enter_context(Machine(spec, on_line=on_line))
            machine.wait_for(USER_SPACE, deadline, silence_seconds=SILENCE_SECONDS)
        yield machine


@contextlib.contextmanager
def boot_to_live(
    spec: MachineSpec,
    deadline: Deadline,
    *,
    report: Callable[[str], None],
    on_line: Callable[[str], None] | None = None,
) -> Iterator[GuestAPI]:
    """As `boot_image`, then wait until GET /livez answers.

    Raises:
        BootFailedError, QemuExitedError, DeadlineError: As `boot_image`.
    """
    with boot_image(spec, deadline, report=report, on_line=on_line) as machine:
        api = GuestAPI(machine)
        api.wait_live(deadline)
        yield api
