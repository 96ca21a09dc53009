# SPDX-License-Identifier: MIT
"""Logs of machines and projects that are not ours, with what they are known to hold."""

import base64
import json

import pytest

from buildernet.attestation.event_log import LogKind, parse_event_log
from buildernet.attestation.registers import PCRS, Bank, Register
from buildernet.attestation.replay import replay, replay_rtmrs
from tests.support.shared_data import shared_file

pytestmark = pytest.mark.interop

QUOTE_RTMR0_OFFSET = 48 + 328
"""Quote header, then the field offset of RTMR0 in a TDX 1.0 report body."""

BOOTS = {
    "tcg1": "trixie-ovmf-nosb-uki",
    "tcg3": "trixie-ovmf-secboot-uki",
    "tcg5": "sid-ovmf-2026.08-uki",
}


def read(name: str) -> bytes:
    return shared_file(f"attestation/{name}").read_bytes()


def test_google_ccel_replays_to_the_registers_of_its_quote() -> None:
    values = replay(parse_event_log(read("go-tdx-guest/ccel_data.dat")), Bank.SHA384)
    quote = read("go-tdx-guest/cos-113-tdx-quote.dat")
    for number, register in enumerate((Register.RTMR0, Register.RTMR1, Register.RTMR2)):
        start = QUOTE_RTMR0_OFFSET + 48 * number
        assert quote[start : start + 48] == values[register], register


@pytest.mark.parametrize(("name", "log"), list(BOOTS.items()))
def test_own_boots_replay_to_the_pcrs_that_were_read(name: str, log: str) -> None:
    folder = "own-ovmf-swtpm-boot"
    parsed = parse_event_log(read(f"{folder}/{log}.binary_bios_measurements"))
    compared = 0
    for line in read(f"{folder}/pcrs-{name}.txt").decode().splitlines():
        _, bank, number, value = line.split()
        if int(number) < 10 or int(number) == 11:
            replayed = replay(parsed, Bank(bank))[PCRS[int(number)]]
            assert replayed.hex() == value.lower(), line
            compared += 1
    assert compared == 3 * 11


def test_own_boot_gives_the_rtmrs_of_a_trust_domain() -> None:
    log = parse_event_log(read("own-ovmf-swtpm-boot/trixie-ovmf-nosb-uki.binary_bios_measurements"))
    values = replay_rtmrs(log)
    # Only events of PCR 9 and 11 reach RTMR2, and PCR 8 and 12 to 15 are empty.
    rtmr2 = bytes(48)
    for event in log.events:
        if event.index in (9, 11):
            rtmr2 = Bank.SHA384.digest(rtmr2 + event.digests[Bank.SHA384])
    assert values[Register.RTMR2] == rtmr2
    assert values[Register.RTMR3] == bytes(48)


@pytest.mark.parametrize("name", ["CCEL_data_ovmf", "CCEL_AAEL_alibabacloud"])
def test_trustee_reads_the_same_events(name: str) -> None:
    expected = json.loads(read(f"trustee/{name}_out.json"))["uefi_event_logs"]
    events = parse_event_log(read(f"trustee/{name}")).events[1:]
    assert [(e.index, e.type_name) for e in events] == [
        (row["index"], row["type_name"]) for row in expected
    ]
    assert [e.data for e in events] == [base64.b64decode(row["event"]) for row in expected]
    assert [e.digests[Bank.SHA384].hex() for e in events] == [
        row["digests"][0]["digest"] for row in expected
    ]


@pytest.mark.parametrize(
    ("name", "kind", "events"),
    [
        ("dstack/ccel.bin", LogKind.CC, 19),
        ("dstack/tpm_eventlog.bin", LogKind.TPM, 46),
        ("go-eventlog/CCEL_unpadded.data.bin", LogKind.CC, 20),
        ("go-eventlog/event_log.bin", LogKind.CC, 28),
        ("go-eventlog/cos-113-intel-tdx-dupe-separator-unpadded.bin", LogKind.CC, 44),
        ("go-eventlog/arch-linux-workstation.bin", LogKind.TPM, 25),
        ("go-eventlog/cos-101-amd-sev.bin", LogKind.TPM, 49),
        ("go-eventlog/ubuntu-2104-no-secure-boot.bin", LogKind.TPM, 106),
        ("go-tpm-tools/eventlogwithsp800155.bin", LogKind.TPM, 54),
    ],
)
def test_logs_of_other_machines_are_read(name: str, kind: LogKind, events: int) -> None:
    log = parse_event_log(read(name))
    assert (log.kind, len(log.events)) == (kind, events)
    for bank in log.banks:
        assert replay(log, bank)
