# SPDX-License-Identifier: MIT
"""What the simulated machine quotes follows from its firmware and its boot."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from buildernet.attestation.errors import EventLogError
from buildernet.attestation.quote import parse_quote
from buildernet.attestation.registers import Bank, Digest48, Register
from buildernet.measure.errors import FirmwareError
from buildernet.measure.mrtd import compute_mrtd
from tests.support.event_logs import encode_log
from tests.support.firmware_images import make_firmware
from tests.support.shared_data import shared_file
from tests.support.simulated_mount import EVENTS, MRTD
from tests.support.simulated_tee.chain import load_chain
from tests.support.simulated_tee.platform import (
    FIRMWARE_BYTES,
    SimulatedPlatform,
    booted_firmware,
    domain_of_boot,
    mrtd_of_firmware,
)

if TYPE_CHECKING:
    from pathlib import Path

DATA = bytes(range(64))


def test_mrtd_is_computed_from_the_firmware(tmp_path: Path):
    firmware = tmp_path / "firmware.fd"
    firmware.write_bytes(make_firmware())
    mrtd = mrtd_of_firmware(firmware)
    assert mrtd == compute_mrtd(memoryview(make_firmware())).single_pass
    changed = bytearray(make_firmware())
    changed[0x1000] ^= 1  # in a measured section
    firmware.write_bytes(changed)
    assert mrtd_of_firmware(firmware) != mrtd
    firmware.write_bytes(bytes(4096))
    with pytest.raises(FirmwareError):
        mrtd_of_firmware(firmware)


def test_booted_firmware_is_read_from_below_4_gib(tmp_path: Path):
    memory = tmp_path / "mem"
    image = bytes(FIRMWARE_BYTES - len(make_firmware())) + make_firmware()
    with memory.open("wb") as stream:  # sparse
        stream.seek((4 << 30) - len(image))
        stream.write(image)
    assert booted_firmware(memory) == image


def test_changed_boot_changes_the_quote_in_its_register_alone():
    other = [
        replace(event, data=event.data + b"!") if event.index == 9 else event for event in EVENTS
    ]
    first, second = (
        parse_quote(SimulatedPlatform(load_chain(), domain).quote(DATA)).body.registers
        for domain in (
            domain_of_boot(encode_log(events), Digest48.parse(MRTD)) for events in (EVENTS, other)
        )
    )
    assert {name for name in first if first[name] != second[name]} == {Register.RTMR2}


def test_recorded_boot_is_replayed():
    name = "attestation/own-ovmf-swtpm-boot/trixie-ovmf-nosb-uki.binary_bios_measurements"
    domain = domain_of_boot(shared_file(name).read_bytes(), Digest48.parse(MRTD))
    assert domain.rtmrs[3] == bytes(48)
    assert len({*domain.rtmrs}) == 4


def test_log_without_sha384_is_refused():
    log = encode_log(EVENTS, banks=(Bank.SHA256,))
    with pytest.raises(EventLogError, match="no sha384 bank"):
        domain_of_boot(log, Digest48.parse(MRTD))
