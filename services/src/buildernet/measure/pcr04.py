# SPDX-License-Identifier: MIT
"""PCR 4 (RTMR1): boot manager code, here the UKI and, with stubs up to 257, the kernel in it.

Reference: TCG PC Client Platform Firmware Profile 1.05, 3.3.4.5; specs/image.md section 3.4.
"""

from typing import Final

from buildernet.attestation.event_log import EV_EFI_ACTION, EV_EFI_BOOT_SERVICES_APPLICATION
from buildernet.measure.digests import digests_of
from buildernet.measure.events import ExpectedEvent, make_event
from buildernet.measure.pe import compute_authenticode, parse_pe
from buildernet.measure.uki import UnifiedKernelImage

BOOT_OPTION_ACTION: Final = "Calling EFI Application from Boot Option"
LABEL_IMAGE: Final = "EV_EFI_BOOT_SERVICES_APPLICATION"


def build_boot_action() -> ExpectedEvent:
    """Firmware announces that it starts a boot option."""
    return make_event(
        4,
        EV_EFI_ACTION,
        BOOT_OPTION_ACTION,
        digests=digests_of(BOOT_OPTION_ACTION.encode()),
        description="firmware starts the first boot option",
        reason="TCG PFP 1.05, 3.3.4.5: a boot attempt is announced before the image is loaded",
    )


def build_uki_event(uki: UnifiedKernelImage) -> ExpectedEvent:
    """Firmware loads the UKI."""
    return make_event(
        4,
        EV_EFI_BOOT_SERVICES_APPLICATION,
        LABEL_IMAGE,
        digests=compute_authenticode(uki.pe),
        description="the unified kernel image, Authenticode digest",
        reason="UEFI LoadImage measures every application it loads",
    )


def build_inner_kernel_events(uki: UnifiedKernelImage) -> list[ExpectedEvent]:
    """Stubs up to 257 load the kernel through firmware, which measures it again."""
    if not uki.behaviour.loads_kernel_through_firmware:
        return []
    kernel = memoryview(uki.sections[".linux"])
    return [
        make_event(
            4,
            EV_EFI_BOOT_SERVICES_APPLICATION,
            LABEL_IMAGE,
            digests=compute_authenticode(parse_pe(kernel)),
            description="the kernel inside the UKI, Authenticode digest",
            reason=f"systemd-stub {uki.stub.text} starts the kernel with LoadImage (until 257)",
        )
    ]
