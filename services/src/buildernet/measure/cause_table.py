# SPDX-License-Identifier: MIT
"""The known causes of a mismatch, in words for a person, with what to do.

Reference: specs/image.md section 3.9; every row was met in this or another project.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True, slots=True)
class Cause:
    """One known cause."""

    key: str
    text: str
    hint: str


def _table(*rows: tuple[str, str, str]) -> Mapping[str, Cause]:
    return MappingProxyType({key: Cause(key, text, hint) for key, text, hint in rows})


CAUSES: Final = _table(
    # What is in the image.
    (
        "uki-content-changed",
        "the UKI is another one; changed sections",
        "boot the image the prediction was made from, or predict this one",
    ),
    (
        "stub-changed",
        "the systemd-stub or the PE header of the UKI changed, what it carries did not",
        "compare the stub package versions; a re-signed or rebuilt UKI also ends here",
    ),
    (
        "kernel-changed",
        "another kernel",
        "compare the kernel packages; firmware that patches a bare kernel also ends here",
    ),
    (
        "cmdline-changed",
        "the command line embedded in the UKI changed",
        "a changed root hash also changes the command line: was the root file system rebuilt?",
    ),
    ("initrd-changed", "the initrd embedded in the UKI changed", "compare the initrd contents"),
    (
        "os-release-changed",
        "the .osrel section changed (stubs from 257 also append it to the initrd)",
        "compare os-release: version and build identifiers stand there",
    ),
    ("section-changed", "a section of the UKI changed", "dump both with objdump or ukify inspect"),
    (
        "section-missing",
        "a section of the UKI was not measured",
        "the section is absent, or the stub is of a version that does not measure it",
    ),
    (
        "section-unexpected",
        "a section was measured that the prediction does not have",
        "another UKI, or a stub of a version that measures more",
    ),
    # What the stub and the kernel do.
    (
        "inner-kernel-missing",
        "an image was not loaded by firmware: stubs from 258 start the kernel themselves",
        "the booted stub is newer than the predicted one",
    ),
    (
        "cmdline-replaced",
        "the kernel got another command line than the embedded one",
        "a boot entry's options or SMBIOS strings replace it when Secure Boot is off",
    ),
    (
        "cmdline-initrd-appended",
        "the command line got ' initrd=initrd' appended: a bare kernel was booted directly",
        "boot the UKI itself with -kernel, without -initrd and -append",
    ),
    (
        "cmdline-automatic-console",
        "the stub appended console=uart,io,0x3f8 (systemd 261 and later)",
        "embed a console= in the command line",
    ),
    (
        "cmdline-not-cleaned",
        "the command line was passed on with its control characters and trailing blanks",
        "a stub older than 253",
    ),
    ("cmdline-empty", "the kernel got an empty command line", "was the .cmdline section dropped?"),
    (
        "initrd-without-extras",
        "the initrd was passed on without the stub's /.extra files",
        "a stub older than 257, or a UKI without .osrel",
    ),
    (
        "initrd-padded-without-extras",
        "the initrd was padded but passed on without the stub's /.extra files",
        "a UKI without .osrel",
    ),
    (
        "initrd-extended",
        "something was added to the initrd: a credential, an extension or another initrd",
        "look for files beside the UKI in the ESP, for -initrd of QEMU, and at the stub version",
    ),
    (
        "boot-secret",
        "the stub added a random /.extra/boot-secret (systemd 261 and later, writable ESP)",
        "put a one-byte /loader/boot-secret-mixin in the ESP, or make the disk read-only",
    ),
    (
        "addon-or-credential",
        "an addon, credential, profile or SMBIOS string was picked up",
        "look for *.addon.efi, *.cred and *.raw in the ESP",
    ),
    (
        "kernel-event-missing",
        "the kernel did not measure its command line or initrd",
        "a kernel without EFI stub measurement (before 5.18), or the log was read too early",
    ),
    # What firmware and machine do.
    (
        "event-moved",
        "the event is there, but in another place of the sequence",
        "the other boot path: from disk (--boot gpt) or by -kernel (--boot direct)",
    ),
    (
        "gpt-changed",
        "the partition table differs",
        "GUIDs must be fixed in the build; growing or repartitioning the disk changes it too",
    ),
    (
        "gpt-missing",
        "no partition table was measured",
        "the UKI was booted directly (--boot direct) or from a file system without partitions",
    ),
    (
        "gpt-unexpected",
        "a partition table was measured that the prediction does not have",
        "the UKI was booted from a disk: predict with --boot gpt",
    ),
    (
        "extra-image",
        "firmware loaded an image that was not expected",
        "a boot loader in front of the UKI, or a stub up to 257 that loads the kernel again",
    ),
    (
        "option-rom",
        "firmware loaded a driver from a device's option ROM",
        "give QEMU's network devices romfile= (an empty value): the ROM comes from the host",
    ),
    (
        "other-boot-option",
        "firmware tried another boot option, or announced the boot in another way",
        "remove other boot devices, or set the boot order",
    ),
    (
        "boot-path",
        "firmware did not announce a boot option",
        "the image was started from the UEFI shell or by another loader",
    ),
    (
        "separator",
        "a separator is missing, repeated or reports a firmware error",
        "firmware older than edk2 efaf893 puts the ready-to-boot separator in RTMR0",
    ),
    (
        "firmware-changed",
        "another firmware build",
        "compare the firmware's SHA-256 with the document's; predict with the one that booted",
    ),
    (
        "secure-boot-variables",
        "other Secure Boot variables, or Secure Boot is switched on",
        "the prediction holds for the empty variable store inside the firmware file",
    ),
    (
        "exit-boot-services",
        "ExitBootServices took a course that is neither plain nor the known single retry",
        "look at the end of the log; a kernel that never took over leaves no success event",
    ),
    # What registers show and no event does.
    (
        "mrtd-firmware",
        "MRTD fits neither page order of the predicted firmware",
        "another firmware build: cloud providers update theirs without notice",
    ),
    (
        "register-extended-later",
        "the register was extended after the log was closed",
        "systemd-pcrphase, systemd-pcrosseparator or the kernel's IMA; mask them or expect it",
    ),
    (
        "register-not-in-log",
        "the register holds something the log does not explain",
        "the log was changed, belongs to another boot, or something extends registers silently",
    ),
    ("unknown", "no known cause fits", "compare the event's data with a boot that matched"),
)
