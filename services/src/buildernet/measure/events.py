# SPDX-License-Identifier: MIT
"""Expected events: the unit in which a boot is predicted, published, compared and explained."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from buildernet.attestation.event_log import (
    EV_EFI_ACTION,
    EV_EVENT_TAG,
    EV_IPL,
    EVENT_TYPE_NAMES,
    Event,
)
from buildernet.attestation.registers import Bank, Digest, Register, rtmr_of_pcr
from buildernet.measure.digests import Digests

TAG_LOAD_OPTIONS: Final = 0x8F3B22ED
TAG_INITRD: Final = 0x8F3B22EC
"""Event tags of the kernel's EFI stub."""

TAG_NAMES: Final = {TAG_LOAD_OPTIONS: "cmdline", TAG_INITRD: "initrd"}

MAX_LABEL_CHARACTERS: Final = 80
"""Labels are shown in tables; log data behind them is unauthenticated and may be anything."""


class BootPath(StrEnum):
    """How the UKI is started."""

    GPT = "gpt"
    DIRECT = "direct"


class Variant(StrEnum):
    """A second legal course of a boot that nothing in the image decides."""

    EXIT_RETRY = "exit-boot-services-retry"


VARIANT_REASONS: Final = {
    Variant.EXIT_RETRY: "ExitBootServices failed once because the memory map had changed, and the"
    " kernel called it again: legal (UEFI 2.10, 7.4.6) and seen with OVMF 2026.08",
}


@dataclass(frozen=True, slots=True)
class Lookalike:
    """What the digest would be if one known thing went otherwise; turns a mismatch into a cause."""

    cause: str
    digests: Digests


@dataclass(frozen=True, slots=True)
class ExpectedEvent:
    """One event that firmware, stub or kernel will log."""

    pcr: int
    rtmr: Register | None
    """The TDX register that gets the same digest; None where TDX has no such event."""
    type: int
    label: str
    """Names the event within its register; events of a log get theirs from `label_of`."""
    digests: Digests
    description: str
    reason: str
    """Why this event is in the log, with the reference."""
    variant: Variant | None = None
    """The event happens only in this variant; None: always."""
    data: bytes | None = None
    """The event's data where it helps to explain a difference (GPT)."""
    lookalikes: tuple[Lookalike, ...] = ()

    @property
    def type_name(self) -> str:
        """TCG name of the type."""
        return EVENT_TYPE_NAMES[self.type]

    def digest_for(self, register: Register, bank: Bank) -> Digest | None:
        """Return what this event extends into a register, None when it does not."""
        extends = self.pcr == register.number if register.is_pcr else self.rtmr is register
        return self.digests.of(bank) if extends else None


def make_event(
    pcr: int,
    event_type: int,
    label: str,
    *,
    digests: Digests,
    description: str,
    reason: str,
    variant: Variant | None = None,
    data: bytes | None = None,
    lookalikes: tuple[Lookalike, ...] = (),
) -> ExpectedEvent:
    """Build an event that goes to a PCR and the RTMR the standard map gives."""
    return ExpectedEvent(
        pcr=pcr,
        rtmr=rtmr_of_pcr(pcr),
        type=event_type,
        label=label,
        digests=digests,
        description=description,
        reason=reason,
        variant=variant,
        data=data,
        lookalikes=lookalikes,
    )


def label_of(event: Event) -> str:
    """Name a logged event the way `ExpectedEvent.label` does; for display and alignment only."""
    if event.type == EV_EFI_ACTION:
        text = event.data.decode("ascii", "replace")
    elif event.type == EV_IPL:
        text = f"section {_ipl_text(event.data)}"
    elif event.type == EV_EVENT_TAG:
        tag = int.from_bytes(event.data[:4], "little")
        text = TAG_NAMES.get(tag, f"tag 0x{tag:08x}")
    else:
        text = event.type_name
    printable = "".join(character if character.isprintable() else "?" for character in text)
    return printable[:MAX_LABEL_CHARACTERS]


def _ipl_text(data: bytes) -> str:
    """systemd-stub describes its events in UTF-16, GRUB in ASCII."""
    encoding = "utf-16-le" if data[1:2] == b"\0" else "utf-8"
    return data.decode(encoding, "replace").rstrip("\0")
