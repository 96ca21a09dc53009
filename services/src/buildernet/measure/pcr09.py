# SPDX-License-Identifier: MIT
"""PCR 9 (RTMR2): command line and initrd as the kernel's EFI stub received them.

Reference: Linux drivers/firmware/efi/libstub/efi-stub-helper.c; systemd src/boot/cpio.c;
    specs/image.md section 3.5.
"""

from typing import Final

from buildernet.attestation.event_log import EV_EVENT_TAG
from buildernet.measure.digests import Digests, Hasher, digests_of
from buildernet.measure.events import ExpectedEvent, Lookalike, make_event
from buildernet.measure.uki import UnifiedKernelImage, compute_cmdline

AUTOMATIC_CONSOLE: Final = "console=uart,io,0x3f8"
"""What stubs from 261 append to a command line without console=."""

EXTRA_DIRECTORY: Final = ".extra"
_DIRECTORY_MODE: Final = 0o040555
_FILE_MODE: Final = 0o100444
_TRAILER: Final = (
    b"070701" + b"00000000" * 4 + b"00000001" + b"00000000" * 6 + b"0000000B" + b"00000000"
    b"TRAILER!!!\0\0\0\0"
)


def build_cmdline_event(uki: UnifiedKernelImage) -> ExpectedEvent:
    """The kernel measures its command line: UTF-16 with a closing NUL."""
    cmdline = compute_cmdline(uki)
    section = bytes(uki.sections[".cmdline"]).decode("utf-8", "replace")
    others = {
        "cmdline-initrd-appended": f"{cmdline} initrd=initrd",
        "cmdline-automatic-console": f"{cmdline} {AUTOMATIC_CONSOLE}".lstrip(),
        "cmdline-not-cleaned": section,
        "cmdline-empty": "",
    }
    return make_event(
        9,
        EV_EVENT_TAG,
        "cmdline",
        digests=digests_of(_encode(cmdline)),
        description=f"kernel command line: {cmdline}",
        reason="the kernel's EFI stub measures LOADED_IMAGE::LoadOptions",
        lookalikes=tuple(
            Lookalike(cause, digests_of(_encode(text)))
            for cause, text in others.items()
            if text != cmdline
        ),
    )


def _encode(text: str) -> bytes:
    return text.encode("utf-16-le") + bytes(2)


def build_initrd_events(uki: UnifiedKernelImage, after_section: Hasher) -> list[ExpectedEvent]:
    """The kernel measures the initrd the stub serves: ours, with the stub's own files appended.

    Args:
        uki: the image.
        after_section: both hashes having read `.ucode` and `.initrd` (each padded to 4 but the
            last), so that the large sections are hashed once.
    """
    extras = [
        (name, uki.sections[section])
        for section, name in uki.behaviour.extra_files
        if section in uki.sections
    ]
    initrd = uki.sections.get(".initrd", b"")
    if not extras and not initrd and ".ucode" not in uki.sections:
        return []
    plain = after_section.digests()
    served = after_section.copy().update(pad4(len(initrd)))
    padded = served.digests()
    for name, content in extras:
        served.update(build_extra_cpio(name, bytes(content)))
    digests = served.digests() if extras else plain
    others = {"initrd-without-extras": plain, "initrd-padded-without-extras": padded}
    names = ", ".join(name for name, _ in extras)
    return [
        make_event(
            9,
            EV_EVENT_TAG,
            "initrd",
            digests=digests,
            description=f"initrd as served by the stub (appended: {names or 'nothing'})",
            reason=f"systemd-stub {uki.stub.text} hands sections to the kernel as files in /.extra",
            lookalikes=_distinct(others, digests),
        )
    ]


def _distinct(others: dict[str, Digests], expected: Digests) -> tuple[Lookalike, ...]:
    return tuple(Lookalike(name, value) for name, value in others.items() if value != expected)


def pad4(length: int) -> bytes:
    """Return the zeros that bring `length` to a multiple of 4."""
    return bytes(-length % 4)


def build_extra_cpio(name: str, content: bytes) -> bytes:
    """Build the archive systemd-stub makes for one file: byte for byte, its quirks included.

    Hex digits are lower case except in the fixed trailer, inodes count from 1, times are 0.
    """
    path = f"{EXTRA_DIRECTORY}/{name}"
    return (
        _record(EXTRA_DIRECTORY, _DIRECTORY_MODE, inode=1, content=b"")
        + _record(path, _FILE_MODE, inode=2, content=content)
        + _TRAILER
    )


def _record(path: str, mode: int, *, inode: int, content: bytes) -> bytes:
    name = path.encode() + b"\0"
    fields = (inode, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name), 0)
    header = b"070701" + b"".join(b"%08x" % field for field in fields) + name
    return header + pad4(len(header)) + content + pad4(len(content))
