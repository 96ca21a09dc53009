# SPDX-License-Identifier: MIT
"""PCR 5 (RTMR1): the partition table, and the end of boot services.

Reference: TCG PC Client Platform Firmware Profile 1.05, 3.3.4.6; specs/image.md section 3.4.
"""

from typing import Final

from buildernet.attestation.event_log import EV_EFI_ACTION, EV_EFI_GPT_EVENT
from buildernet.measure.digests import digests_of
from buildernet.measure.events import ExpectedEvent, Variant, make_event

LABEL_GPT: Final = "EV_EFI_GPT_EVENT"
EXIT_INVOCATION: Final = "Exit Boot Services Invocation"
EXIT_FAILURE: Final = "Exit Boot Services Returned with Failure"
EXIT_SUCCESS: Final = "Exit Boot Services Returned with Success"


def build_gpt_measurement(gpt_event: bytes) -> ExpectedEvent:
    """Firmware measures the partition table of the disk it boots from."""
    return make_event(
        5,
        EV_EFI_GPT_EVENT,
        LABEL_GPT,
        digests=digests_of(gpt_event),
        description="GPT header and used entries: GUIDs, sizes and names of all partitions",
        reason="measured once, before the first image is loaded from a partitioned disk",
        data=gpt_event,
    )


def build_exit_events() -> list[ExpectedEvent]:
    """The kernel ends boot services; a first failed attempt is legal (specs/image.md 3.4)."""
    return [
        _build_action(EXIT_INVOCATION, Variant.EXIT_RETRY),
        _build_action(EXIT_FAILURE, Variant.EXIT_RETRY),
        _build_action(EXIT_INVOCATION, None),
        _build_action(EXIT_SUCCESS, None),
    ]


def _build_action(text: str, variant: Variant | None) -> ExpectedEvent:
    return make_event(
        5,
        EV_EFI_ACTION,
        text,
        digests=digests_of(text.encode()),
        description="the kernel takes the machine over from firmware",
        reason="TCG PFP 1.05, 3.3.4.6: ExitBootServices is measured at call and return",
        variant=variant,
    )
