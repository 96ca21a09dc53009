# SPDX-License-Identifier: MIT
"""The simulated machine: what its registers hold, and the quotes it gives."""

import mmap
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from buildernet.attestation.event_log import parse_event_log
from buildernet.attestation.registers import TDX_REGISTERS, Digest48
from buildernet.attestation.replay import replay_rtmrs
from buildernet.measure.mrtd import compute_mrtd
from tests.support.minted_chain import Domain, MintedChain

FIRMWARE_BYTES: Final = 4 << 20
"""Length of Debian 13's OVMF, code and variables together."""


@dataclass(frozen=True, slots=True)
class SimulatedPlatform:
    """Makes quotes about one boot."""

    chain: MintedChain
    domain: Domain
    padded_bytes: int = 0
    """0 leaves the quote unpadded."""

    def quote(self, report_data: bytes) -> bytes:
        """Make a quote; `report_data` has 64 bytes."""
        quote = self.chain.quote(replace(self.domain, report_data=report_data))
        return quote.ljust(self.padded_bytes, b"\0")


def booted_firmware(memory: Path = Path("/dev/mem")) -> bytes:
    """Return the firmware this machine started with, which stands below 4 GiB.

    Raises:
        OSError: the memory cannot be read, for want of root or of the device.
    """
    with memory.open("rb") as file:
        offset = (4 << 30) - FIRMWARE_BYTES
        with mmap.mmap(
            file.fileno(), FIRMWARE_BYTES, mmap.MAP_SHARED, mmap.PROT_READ, offset=offset
        ) as view:
            return view[:]


def domain_of_boot(event_log: bytes, mrtd: Digest48) -> Domain:
    """Return the trust domain that a boot with this log would be.

    Args:
        event_log: TPM log with a sha384 bank, or CCEL data.
        mrtd: of the firmware that booted.

    Raises:
        EventLogError: the log is damaged or has no sha384 digests.
    """
    values = replay_rtmrs(parse_event_log(event_log))
    rtmr0, rtmr1, rtmr2, rtmr3 = (values[register] for register in TDX_REGISTERS[1:])
    return Domain(mrtd=mrtd, rtmrs=(rtmr0, rtmr1, rtmr2, rtmr3))


def mrtd_of_firmware(path: Path) -> Digest48:
    """Compute MRTD in the page order of current QEMU and of Google.

    Raises:
        FirmwareError: the file has no TDX metadata.
    """
    return compute_mrtd(memoryview(path.read_bytes())).single_pass
