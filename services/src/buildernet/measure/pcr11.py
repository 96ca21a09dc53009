# SPDX-License-Identifier: MIT
"""PCR 11 (RTMR2 from stub 256 on): the sections of the UKI, measured by systemd-stub.

Reference: systemd src/boot/stub.c, measure_sections; specs/image.md section 3.5.
"""

from dataclasses import dataclass

from buildernet.attestation.event_log import EV_IPL
from buildernet.attestation.registers import Register
from buildernet.measure.digests import Digests, Hasher, digests_of
from buildernet.measure.events import ExpectedEvent
from buildernet.measure.pcr09 import pad4
from buildernet.measure.uki import UnifiedKernelImage


@dataclass(frozen=True, slots=True)
class SectionEvents:
    """PCR 11's events, and the hash state PCR 9 goes on from."""

    events: list[ExpectedEvent]
    after_initrd: Hasher


def build_section_events(uki: UnifiedKernelImage) -> SectionEvents:
    """Each present section gives two events: its name with NUL, then its content."""
    rtmr = Register.RTMR2 if uki.behaviour.measures_sections_on_tdx else None
    events: list[ExpectedEvent] = []
    after_initrd = _initrd_hasher(uki)
    for name in uki.behaviour.measured_sections:
        content = uki.sections.get(name)
        if content is None:
            continue
        if name == ".initrd" and ".ucode" not in uki.sections:
            digests = after_initrd.digests()
        else:
            digests = digests_of(content)
        for part, part_digests in (("name", digests_of(name.encode() + b"\0")), ("data", digests)):
            events.append(_build_event(uki, name, part, rtmr, part_digests))
    return SectionEvents(events, after_initrd)


def _initrd_hasher(uki: UnifiedKernelImage) -> Hasher:
    """Hash microcode and initrd as the kernel will see them, before the stub's own files."""
    hasher = Hasher()
    microcode = uki.sections.get(".ucode")
    if microcode is not None:
        hasher.update(microcode).update(pad4(len(microcode)))
    return hasher.update(uki.sections.get(".initrd", b""))


def _build_event(
    uki: UnifiedKernelImage, name: str, part: str, rtmr: Register | None, digests: Digests
) -> ExpectedEvent:
    what = f"name of section {name}" if part == "name" else f"content of section {name}"
    return ExpectedEvent(
        pcr=11,
        rtmr=rtmr,
        type=EV_IPL,
        label=f"section {name}",
        digests=digests,
        description=what,
        reason=f"systemd-stub {uki.stub.text} measures each section it uses, cut at VirtualSize",
    )
