# SPDX-License-Identifier: MIT
"""Where mismatches come from: the known causes, and the rules that recognise them.

A rule sees one change and all the others of the same boot; the first that answers wins. The table
is also the reading list for differences no log can show (specs/image.md section 3.9).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from buildernet.attestation.event_log import (
    EV_EFI_ACTION,
    EV_EFI_BOOT_SERVICES_APPLICATION,
    EV_EFI_BOOT_SERVICES_DRIVER,
    EV_EFI_GPT_EVENT,
    EV_EVENT_TAG,
    EV_IPL,
    EV_SEPARATOR,
    Event,
)
from buildernet.attestation.registers import Bank, Register
from buildernet.measure.cause_table import CAUSES, Cause
from buildernet.measure.errors import DiskError
from buildernet.measure.events import ExpectedEvent, label_of
from buildernet.measure.gpt import PartitionTable, parse_gpt_event
from buildernet.measure.prediction import Prediction


@dataclass(frozen=True, slots=True)
class Change:
    """One difference between prediction and log."""

    register: Register
    expected: ExpectedEvent | None
    actual: Event | None

    @property
    def type(self) -> int:
        """Event type, the same on both sides when both are present."""
        side = self.expected or self.actual
        return side.type if side else 0

    @property
    def label(self) -> str:
        """Label, the same on both sides when both are present."""
        if self.expected:
            return self.expected.label
        return label_of(self.actual) if self.actual else ""


@dataclass(frozen=True, slots=True)
class _Case:
    """What a rule may look at."""

    change: Change
    all_changes: Sequence[Change]
    prediction: Prediction
    banks: Sequence[Bank]

    def changed_sections(self) -> list[str]:
        """Names of UKI sections whose events differ, in the order of the log."""
        prefix = "section "
        names = [c.label.removeprefix(prefix) for c in self.all_changes if c.type == EV_IPL]
        return list(dict.fromkeys(names))

    def is_uki(self) -> bool:
        """True for the first image that was expected: the UKI, not the kernel inside."""
        images = [e for e in self.prediction.events if e.type == EV_EFI_BOOT_SERVICES_APPLICATION]
        return bool(images) and self.change.expected is images[0]


def find_cause(
    change: Change, all_changes: Sequence[Change], prediction: Prediction, banks: Sequence[Bank]
) -> Cause:
    """Return the most likely cause of one change; there is always an answer."""
    case = _Case(change, all_changes, prediction, banks)
    for rule in _RULES:
        cause = rule(case)
        if cause is not None:
            return cause
    return CAUSES["unknown"]


def _detailed(key: str, detail: str) -> Cause:
    cause = CAUSES[key]
    return replace(cause, text=f"{cause.text}: {detail}")


def _lookalike(case: _Case) -> Cause | None:
    expected, actual = case.change.expected, case.change.actual
    if expected is None or actual is None:
        return None
    for other in expected.lookalikes:
        if all(actual.digests.get(bank) == other.digests.of(bank) for bank in case.banks):
            return CAUSES.get(other.cause)
    return None


def _moved(case: _Case) -> Cause | None:
    """The same digest is missing in one place and unexpected in another."""
    one_sided = [c for c in case.all_changes if (c.expected is None) != (c.actual is None)]
    for expected in (c.expected for c in one_sided if c.expected):
        for actual in (c.actual for c in one_sided if c.actual):
            same = all(actual.digests.get(b) == expected.digests.of(b) for b in case.banks)
            if same and (case.change.expected is expected or case.change.actual is actual):
                return CAUSES["event-moved"]
    return None


def _image(case: _Case) -> Cause | None:
    change = case.change
    if change.type != EV_EFI_BOOT_SERVICES_APPLICATION:
        return None
    if change.actual is None:
        return CAUSES["inner-kernel-missing"]
    if change.expected is None:
        return CAUSES["extra-image"]
    if not case.is_uki():
        return CAUSES["kernel-changed"]
    sections = case.changed_sections()
    if sections and sections != [".sbat"]:
        return _detailed("uki-content-changed", ", ".join(sections))
    return CAUSES["stub-changed"]


_SECTION_CAUSES: Final = {
    ".linux": "kernel-changed",
    ".cmdline": "cmdline-changed",
    ".initrd": "initrd-changed",
    ".osrel": "os-release-changed",
    ".sbat": "stub-changed",
}


def _section(case: _Case) -> Cause | None:
    change = case.change
    if change.type != EV_IPL:
        return None
    name = change.label.removeprefix("section ")
    if change.actual is None:
        return _detailed("section-missing", name)
    if change.expected is None:
        known = change.register in (Register.PCR11, Register.RTMR2)
        return _detailed("section-unexpected" if known else "addon-or-credential", name)
    key = _SECTION_CAUSES.get(name)
    return CAUSES[key] if key else _detailed("section-changed", name)


def _kernel_tag(case: _Case) -> Cause | None:
    change = case.change
    if change.type != EV_EVENT_TAG:
        return None
    if change.actual is None:
        return CAUSES["kernel-event-missing"]
    if change.expected is None:
        return _detailed("addon-or-credential", change.label)
    sections = case.changed_sections()
    if change.label == "cmdline":
        return CAUSES["cmdline-changed" if ".cmdline" in sections else "cmdline-replaced"]
    if ".initrd" in sections:
        return CAUSES["initrd-changed"]
    if ".osrel" in sections:
        return CAUSES["os-release-changed"]
    if case.prediction.conditions:
        return CAUSES["boot-secret"]
    return CAUSES["initrd-extended"]


def _partition_table(case: _Case) -> Cause | None:
    change = case.change
    if change.type != EV_EFI_GPT_EVENT:
        return None
    if change.actual is None:
        return CAUSES["gpt-missing"]
    if change.expected is None:
        return CAUSES["gpt-unexpected"]
    try:
        before = parse_gpt_event(change.expected.data or b"")
        after = parse_gpt_event(change.actual.data)
    except DiskError:
        return CAUSES["gpt-changed"]
    return _detailed("gpt-changed", describe_table_change(before, after))


def describe_table_change(before: PartitionTable, after: PartitionTable) -> str:
    """Name what differs between two partition tables, in one line."""
    found = []
    if before.disk_guid != after.disk_guid:
        found.append(f"disk GUID {before.disk_guid} became {after.disk_guid}")
    if before.alternate_lba != after.alternate_lba:
        found.append(f"disk ends at sector {after.alternate_lba}, not {before.alternate_lba}")
    if len(before.partitions) != len(after.partitions):
        found.append(f"{len(after.partitions)} partitions, not {len(before.partitions)}")
    for number, (old, new) in enumerate(
        zip(before.partitions, after.partitions, strict=False), start=1
    ):
        for field in ("type_guid", "guid", "first_lba", "last_lba", "name"):
            was, now = getattr(old, field), getattr(new, field)
            if was != now:
                found.append(f"partition {number} {field} {str(was)!r} became {str(now)!r}")
    return "; ".join(found) or "header fields (revision, checksums, attributes)"


def _firmware(case: _Case) -> Cause | None:
    change = case.change
    if change.type == EV_SEPARATOR:
        return CAUSES["separator"]
    if change.register is Register.PCR0:
        return CAUSES["firmware-changed"]
    if change.register is Register.PCR7:
        return CAUSES["secure-boot-variables"]
    if change.type == EV_EFI_BOOT_SERVICES_DRIVER:
        return CAUSES["option-rom"]
    return None


def _action(case: _Case) -> Cause | None:
    change = case.change
    if change.type != EV_EFI_ACTION:
        return None
    if change.label.startswith("Exit Boot Services"):
        return CAUSES["exit-boot-services"]
    if change.actual is None:
        return CAUSES["boot-path"]
    return CAUSES["other-boot-option"]


_RULES: Final[tuple[Callable[[_Case], Cause | None], ...]] = (
    _lookalike,
    _moved,
    _image,
    _section,
    _kernel_tag,
    _partition_table,
    _firmware,
    _action,
)
