# SPDX-License-Identifier: MIT
"""The line between firmware and what it boots: one separator per PCR, one per RTMR.

Reference: TCG PC Client Platform Firmware Profile 1.05, section 3.3.2; edk2 commit efaf893 (RTMR1).
"""

from typing import Final

from buildernet.attestation.event_log import EV_SEPARATOR
from buildernet.attestation.registers import Register
from buildernet.measure.digests import digests_of
from buildernet.measure.events import ExpectedEvent

LABEL_SEPARATOR: Final = "EV_SEPARATOR"
SEPARATOR: Final = bytes(4)

READY_TO_BOOT_PCRS: Final = (0, 2, 3, 4, 5, 6)
"""PCR 1 has one as well, but PCR 1 is never promised; PCR 7 gets its own earlier."""

RTMR1_PCR: Final = 4
"""On TDX the separators of PCR 0 to 6 are a single event in RTMR1; we hang it on this one."""


def build_separators() -> list[ExpectedEvent]:
    """Firmware closes its part of each PCR when it is ready to boot."""
    return [
        ExpectedEvent(
            pcr=pcr,
            rtmr=Register.RTMR1 if pcr == RTMR1_PCR else None,
            type=EV_SEPARATOR,
            label=LABEL_SEPARATOR,
            digests=digests_of(SEPARATOR),
            description="end of firmware measurements",
            reason="TCG PFP 1.05, 3.3.2; four zero bytes mean that no error occurred",
        )
        for pcr in READY_TO_BOOT_PCRS
    ]
