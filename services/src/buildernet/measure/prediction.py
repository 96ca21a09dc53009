# SPDX-License-Identifier: MIT
"""A whole boot predicted: every promised event in the order in which it is logged."""

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from buildernet.attestation.registers import PCRS, Bank, Digest, Digest32, Digest48, Register
from buildernet.measure.digests import BANKS
from buildernet.measure.disk import BootMedium
from buildernet.measure.errors import DiskError
from buildernet.measure.events import BootPath, ExpectedEvent
from buildernet.measure.firmware import FirmwareFacts
from buildernet.measure.fold import legal_values
from buildernet.measure.mrtd import MRTD
from buildernet.measure.pcr04 import (
    build_boot_action,
    build_inner_kernel_events,
    build_uki_event,
)
from buildernet.measure.pcr05 import build_exit_events, build_gpt_measurement
from buildernet.measure.pcr09 import build_cmdline_event, build_initrd_events
from buildernet.measure.pcr11 import build_section_events
from buildernet.measure.separators import build_separators
from buildernet.measure.uki import UnifiedKernelImage, compute_cmdline, parse_uki

PROMISED_PCRS: Final = (2, 3, 4, 5, 6, 8, 9, 11, 12, 13, 14, 15)
"""What firmware, stub and kernel log in these is decided by image and boot path alone.

PCR 1 describes the machine; PCR 10 is the kernel's own (IMA) and never in this log; PCR 0 and 7
are promised for firmware with facts. They are the PCRs of RTMR1 (2 to 6) and RTMR2 (8 to 15).
"""

PROMISED_RTMRS: Final = (Register.RTMR1, Register.RTMR2)
"""RTMR0 describes the machine: never promised (docs/decisions/0007). RTMR3 is for applications."""


class Provenance(StrEnum):
    """How a value that is not promised came about."""

    OBSERVED = "observed"
    COMPUTED = "computed"


@dataclass(frozen=True, slots=True)
class Platform:
    """RTMR0 on one machine type: information for a verifier who wants to pin it."""

    name: str
    provenance: Provenance
    rtmr0: Digest48
    note: str


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a boot of one image by one path on one firmware must measure."""

    boot: BootPath
    stub: str
    cmdline: str
    uki_sha256: Digest32
    firmware_sha256: Digest32
    firmware_name: str | None
    """From the facts file; None for a firmware without facts."""
    mrtd: MRTD | None
    """None when the firmware has no TDX metadata."""
    conditions: tuple[str, ...]
    """What must hold beside the image for the values to be right; empty for a well-made image."""
    promised: tuple[Register, ...]
    """Registers whose whole content in the log is promised."""
    events: tuple[ExpectedEvent, ...]
    platforms: tuple[Platform, ...] = ()
    """RTMR0 per machine type; never part of a promise."""

    def values(self, register: Register, bank: Bank) -> tuple[Digest, ...]:
        """Return every legal value of a register, the most usual first."""
        if register is Register.MRTD:
            return () if self.mrtd is None else (self.mrtd.single_pass, self.mrtd.two_pass)
        return legal_values(self.events, register, bank)


def banks_of(register: Register) -> tuple[Bank, ...]:
    """Return the banks a register is predicted in: TDX registers are SHA-384 only."""
    return BANKS if register.is_pcr else (Bank.SHA384,)


def predict(
    medium: BootMedium,
    *,
    boot: BootPath,
    firmware: memoryview,
    facts: FirmwareFacts | None,
    mrtd: MRTD | None,
    platforms: tuple[Platform, ...] = (),
) -> Prediction:
    """Predict every promised event.

    Args:
        medium: the image taken apart.
        boot: by disk, or handed to firmware by the VMM (QEMU -kernel uki.efi).
        firmware: the whole firmware image.
        facts: PCR 0 and PCR 7 of that firmware, None leaves them unpromised.
        mrtd: computed from the same firmware, None when it is no TDX firmware.
        platforms: RTMR0 of known machine types, passed on as information.

    Raises:
        DiskError: boot path gpt, but the file has no partition table.
        UKIError, PEError: the UKI cannot be measured.
    """
    uki = parse_uki(medium.uki)
    numbers = {event.pcr for event in facts.events} if facts else set()
    promised = tuple(PCRS[number] for number in sorted({*PROMISED_PCRS, *numbers}))
    events = [*(facts.events if facts else ()), *_boot_events(uki, medium, boot)]
    if 0 not in numbers:
        events = [event for event in events if event.pcr != 0]
    return Prediction(
        boot=boot,
        stub=uki.stub.text,
        cmdline=compute_cmdline(uki),
        uki_sha256=Digest32(hashlib.sha256(medium.uki).digest()),
        firmware_sha256=Digest32(hashlib.sha256(firmware).digest()),
        firmware_name=facts.name if facts else None,
        mrtd=mrtd,
        conditions=_conditions(uki, boot),
        promised=(*PROMISED_RTMRS, *promised),
        events=tuple(events),
        platforms=platforms,
    )


def _conditions(uki: UnifiedKernelImage, boot: BootPath) -> tuple[str, ...]:
    """Name what stubs from 261 on do that depends on more than the image."""
    conditions = []
    if uki.behaviour.appends_boot_secret and boot is BootPath.GPT:
        conditions.append(
            "the ESP is read-only or holds a /loader/boot-secret-mixin shorter than 32 bytes;"
            " otherwise the stub adds a random secret to the initrd and PCR 9 and RTMR2 vary"
        )
    if uki.behaviour.appends_boot_secret and "console=" not in compute_cmdline(uki):
        conditions.append(
            "the machine has no serial port; otherwise the stub appends a console= and PCR 9 and"
            " RTMR2 vary: embed one in the command line"
        )
    return tuple(conditions)


def _boot_events(
    uki: UnifiedKernelImage, medium: BootMedium, boot: BootPath
) -> list[ExpectedEvent]:
    uki_event = build_uki_event(uki)
    if boot is BootPath.DIRECT:
        # The VMM hands over the image before firmware starts to look for boot options.
        start = [uki_event, build_boot_action(), *build_separators()]
    else:
        if medium.gpt_event is None:
            raise DiskError(
                "boot path gpt needs a disk with a partition table",
                hint="give the raw disk image, or use --boot direct for a UKI file",
            )
        gpt = build_gpt_measurement(medium.gpt_event)
        start = [build_boot_action(), *build_separators(), gpt, uki_event]
    sections = build_section_events(uki)
    return [
        *start,
        *sections.events,
        *build_inner_kernel_events(uki),
        build_cmdline_event(uki),
        *build_initrd_events(uki, sections.after_initrd),
        *build_exit_events(),
    ]
