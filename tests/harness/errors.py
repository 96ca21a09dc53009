# SPDX-License-Identifier: MIT
"""What may go wrong around a virtual machine.

```
HarnessError
├── DeadlineError       something did not happen in time
│   └── StalledError    the console fell silent before user space started (a hang, not slowness)
├── MissingImageError   the image was not built
├── FirmwareError       the firmware is not the pinned one
├── LayoutError         a disk or UKI does not look as expected
├── SwtpmError          the TPM emulator did not start
├── QmpError            QEMU refused a command or closed the connection
├── QemuExitedError     QEMU ended by itself
├── BootFailedError     the guest said on its console why it cannot boot
└── GuestAPIError       the guest's HTTP interface answered wrongly
```
"""

from __future__ import annotations

from enum import StrEnum

from buildernet.base.errors import BuildernetError


class HarnessError(BuildernetError):
    """Root of the harness's errors."""


class DeadlineError(HarnessError):
    """Something did not happen in the time given for it."""


class StalledError(DeadlineError):
    """The console said nothing for too long before user space started."""


class MissingImageError(HarnessError):
    """A file of the deploy folder is missing."""


class FirmwareError(HarnessError):
    """The firmware is not the pinned combined OVMF image."""


class LayoutError(HarnessError):
    """A disk, partition table or UKI is not laid out as expected."""


class SwtpmError(HarnessError):
    """swtpm or swtpm_setup failed."""


class QmpError(HarnessError):
    """QEMU's monitor refused a command or closed the connection."""


class QemuExitedError(HarnessError):
    """QEMU ended by itself; the message carries its standard error."""


class GuestAPIError(HarnessError):
    """The guest's HTTP interface refused, timed out or answered with another status than 200."""


class FailureKind(StrEnum):
    """Why a guest stopped booting, as far as its console tells."""

    VERITY = "dm-verity found a changed block"
    INITRD = "the initrd gave up"
    PANIC = "the kernel panicked"
    OOPS = "the kernel hit a fault"
    NO_BOOT_ENTRY = "the firmware found nothing to boot"
    EMERGENCY = "systemd went to emergency mode"


class BootFailedError(HarnessError):
    """The guest said on its console why it cannot boot.

    Attributes:
        kind: Which known failure it is.
        line: The console line that says so.
    """

    def __init__(self, kind: FailureKind, line: str) -> None:
        super().__init__(f"boot failed: {kind.value}: {line}")
        self.kind = kind
        self.line = line
