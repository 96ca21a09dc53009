# SPDX-License-Identifier: MIT
"""Unified kernel images: a PE image of systemd-stub with kernel, initrd and command line inside.

Reference: UAPI group specification "Unified Kernel Image"; specs/image.md section 3.5.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from buildernet.measure.errors import UKIError
from buildernet.measure.pe import PEImage, Section, parse_pe
from buildernet.measure.stub import StubBehaviour, StubVersion, find_behaviour, parse_stub_version

MAX_ZERO_FILL_BYTES: Final = 1 << 20
"""How much a section may be larger in memory than in the file; ukify makes none."""

UNPREDICTABLE_SECTIONS: Final = (".profile", ".dtbauto", ".hwids", ".efifw")
"""The stub chooses among these by boot menu or hardware, so no single value can be promised."""

OWN_SECTIONS: Final = frozenset(
    {
        ".linux", ".osrel", ".cmdline", ".initrd", ".ucode", ".splash", ".dtb", ".uname", ".sbat",
        ".pcrsig", ".pcrpkey",
    }
)  # fmt: skip
"""Sections whose content this module hands out."""


@dataclass(frozen=True, slots=True)
class UnifiedKernelImage:
    """A UKI over the bytes it was parsed from."""

    pe: PEImage
    stub: StubVersion
    behaviour: StubBehaviour
    sections: Mapping[str, bytes | memoryview]
    """Content as the stub sees it in memory: cut (or zero-filled) to VirtualSize."""


def parse_uki(view: memoryview) -> UnifiedKernelImage:
    """Parse a UKI and find out how its stub measures.

    Raises:
        PEError: not a PE image.
        UKIError: no kernel inside, an unknown stub, or sections that cannot be predicted.
    """
    pe = parse_pe(view)
    stub: StubVersion | None = None
    sections: dict[str, bytes | memoryview] = {}
    for section in pe.sections:
        if section.name == ".sdmagic":
            stub = parse_stub_version(_content(pe, section))
        if section.name in UNPREDICTABLE_SECTIONS:
            raise UKIError(
                f"the UKI has a {section.name} section, whose choice depends on the machine",
                hint="build the UKI without profiles and without automatic device trees",
            )
        if section.name in OWN_SECTIONS:
            if section.name in sections:
                raise UKIError(f"the UKI has more than one {section.name} section")
            sections[section.name] = _content(pe, section)
    if stub is None:
        raise UKIError("no .sdmagic section", hint="only systemd-stub images are modelled")
    if ".linux" not in sections:
        raise UKIError("no .linux section: a systemd-stub without a kernel, not a UKI")
    return UnifiedKernelImage(pe, stub, find_behaviour(stub), MappingProxyType(sections))


def _content(pe: PEImage, section: Section) -> bytes | memoryview:
    raw = pe.raw(section)
    missing = section.virtual_size - len(raw)
    if missing <= 0:
        return raw[: section.virtual_size]
    if missing > MAX_ZERO_FILL_BYTES:
        raise UKIError(f"section {section.name} grows by {missing} bytes in memory: refused")
    return bytes(raw) + bytes(missing)


def compute_cmdline(uki: UnifiedKernelImage) -> str:
    """Return the embedded command line as the stub hands it to the kernel.

    Raises:
        UKIError: none embedded (then anyone may supply one), or not UTF-8.
    """
    section = uki.sections.get(".cmdline")
    if section is None:
        raise UKIError(
            "the UKI has no .cmdline section: whoever boots it chooses the command line",
            hint="embed one with ukify --cmdline",
        )
    try:
        text = bytes(section).split(b"\0", 1)[0].decode("utf-8")
    except UnicodeDecodeError as exc:
        raise UKIError("the .cmdline section is not UTF-8") from exc
    if not uki.behaviour.cleans_cmdline:
        return text
    return "".join(" " if character < " " else character for character in text).rstrip(" ")
