# SPDX-License-Identifier: MIT
"""Finds out whether KVM really runs guests here: /dev/kvm may exist and be useless (nested)."""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import Final

from tests.harness.deadline import Deadline
from tests.harness.errors import HarnessError
from tests.harness.machine import Machine
from tests.harness.qemu import Accelerator, MachineSpec

KVM_DEVICE: Final = Path("/dev/kvm")
PROBE_SECONDS: Final = 3.0
"""OVMF greets on the console after about one second under KVM; a slow host merely gets TCG."""


@functools.cache
def probe_accelerator(firmware: Path) -> Accelerator:
    """KVM when the firmware starts under it, TCG otherwise. Asked once per process.

    Nested virtualisation may refuse instructions the firmware needs (seen: FNINIT) and stop the
    guest after it had started; so nothing less than running the firmware tells.
    """
    if not os.access(KVM_DEVICE, os.R_OK | os.W_OK):
        return Accelerator.TCG
    spec = MachineSpec(firmware=firmware, accelerator=Accelerator.KVM, memory_mib=256)
    deadline = Deadline.after(PROBE_SECONDS)
    try:
        with Machine(spec, tpm=False) as machine:
            machine.wait_for(r".", deadline)
    except HarnessError:
        return Accelerator.TCG
    return Accelerator.KVM
