# SPDX-License-Identifier: MIT
"""What each systemd-stub version measures: the table that PCR 4, 9 and 11 are built from.

Rows 252, 257, 259 and 262 were confirmed by booting; 255 is from reading the source.

Reference: systemd src/boot/stub.c and src/fundamental/uki.h; specs/image.md section 3.5.
"""

import re
from dataclasses import dataclass
from typing import Final

from buildernet.measure.errors import UKIError

OLDEST_VERSION: Final = 252
"""Earlier stubs measure into PCR 4 and 8 in other ways and are not modelled."""

_MAGIC: Final = re.compile(rb"#### LoaderInfo: systemd-stub (\d{1,4})([^\s#]{0,64}) ####")

_SECTIONS_252: Final = (".linux", ".osrel", ".cmdline", ".initrd", ".splash", ".dtb", ".pcrpkey")
_SECTIONS_254: Final = (*_SECTIONS_252[:-1], ".uname", ".sbat", ".pcrpkey")
_SECTIONS_256: Final = (*_SECTIONS_254[:4], ".ucode", *_SECTIONS_254[4:])
_EXTRAS_252: Final = (
    (".pcrsig", "tpm2-pcr-signature.json"),
    (".pcrpkey", "tpm2-pcr-public-key.pem"),
)
_EXTRAS_257: Final = (*_EXTRAS_252, (".osrel", "os-release"))


@dataclass(frozen=True, slots=True)
class StubBehaviour:
    """What a range of versions does."""

    first_version: int
    measured_sections: tuple[str, ...]
    """Order in which present sections are measured into PCR 11: name with NUL, then data."""
    extra_files: tuple[tuple[str, str], ...]
    """Sections handed to the kernel as files in /.extra, appended to the initrd in this order."""
    loads_kernel_through_firmware: bool
    """Up to 257 the inner kernel passes LoadImage, which measures it into PCR 4."""
    measures_sections_on_tdx: bool
    """From 256 the section events also go to RTMR2."""
    cleans_cmdline: bool
    """From 253 control characters become blanks and trailing blanks are dropped."""
    appends_boot_secret: bool
    """From 261 a random secret joins the initrd unless the ESP forbids it (specs/image.md 3.5)."""


BEHAVIOURS: Final = (
    StubBehaviour(252, _SECTIONS_252, _EXTRAS_252, True, False, False, False),
    StubBehaviour(253, _SECTIONS_254, _EXTRAS_252, True, False, True, False),
    StubBehaviour(256, _SECTIONS_256, _EXTRAS_252, True, True, True, False),
    StubBehaviour(257, _SECTIONS_256, _EXTRAS_257, True, True, True, False),
    StubBehaviour(258, _SECTIONS_256, _EXTRAS_257, False, True, True, False),
    StubBehaviour(261, _SECTIONS_256, _EXTRAS_257, False, True, True, True),
)
"""Oldest first; a version behaves as the last row that is not newer."""


@dataclass(frozen=True, slots=True)
class StubVersion:
    """Version text from `.sdmagic`, such as 257.13-1~deb13u1."""

    major: int
    text: str


def parse_stub_version(sdmagic: bytes | memoryview) -> StubVersion:
    """Read the version a systemd-stub states in its `.sdmagic` section.

    Raises:
        UKIError: no systemd-stub marker.
    """
    match = _MAGIC.search(bytes(sdmagic[:256]))
    if match is None:
        raise UKIError(
            "no systemd-stub version in .sdmagic", hint="only systemd-stub images are modelled"
        )
    return StubVersion(int(match[1]), (match[1] + match[2]).decode("ascii", "backslashreplace"))


def find_behaviour(version: StubVersion) -> StubBehaviour:
    """Return the row of a version.

    Raises:
        UKIError: older than the table.
    """
    for behaviour in reversed(BEHAVIOURS):
        if version.major >= behaviour.first_version:
            return behaviour
    raise UKIError(f"systemd-stub {version.text} is older than {OLDEST_VERSION}: not modelled")
