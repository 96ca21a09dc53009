# SPDX-License-Identifier: MIT
"""Paths where two services meet; they may not import each other, so the names stand below both."""

from pathlib import Path
from typing import Final

SYSTEM_API_FIFO: Final = Path("/run/system-api/events.fifo")
"""system-api reads events here; anyone in the guest may write one line per event."""

MEASURED_BOOT_DIR: Final = Path("/run/measured-boot")
"""`buildernet-node measured-boot` writes here once per boot; system-api serves it."""

TPM_EVENT_LOG: Final = "tpm-event-log.bin"
CCEL: Final = "ccel.bin"
REGISTERS: Final = "registers.json"

MAX_EVENT_LOG_BYTES: Final = 4 * 1024 * 1024
"""A firmware's log area is 64 KiB and the kernel's copy a few hundred KiB; more is not a log."""

MAX_REGISTERS_BYTES: Final = 64 * 1024
"""48 PCR values and 8 TDX values with their names take 8 KiB."""

MAX_EVENT_BYTES: Final = 4096
"""One event, in UTF-8, newline included: PIPE_BUF, above which writes to a FIFO may interleave.

Reference: pipe(7), section "PIPE_BUF".
"""
