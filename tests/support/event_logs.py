# SPDX-License-Identifier: MIT
"""Event logs written in memory: by hand, or as the boot a prediction describes."""

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from buildernet.attestation.event_log import EV_EVENT_TAG, EV_IPL, EV_NO_ACTION, SPEC_ID_SIGNATURE
from buildernet.attestation.registers import TDX_REGISTERS, Bank
from buildernet.measure.events import TAG_INITRD, TAG_LOAD_OPTIONS, ExpectedEvent, Variant
from buildernet.measure.prediction import Prediction

ALGORITHM_IDS = {Bank.SHA1: 4, Bank.SHA256: 0xB, Bank.SHA384: 0xC, Bank.SHA512: 0xD}
BOTH_BANKS = (Bank.SHA256, Bank.SHA384)


@dataclass(frozen=True)
class RawEvent:
    index: int
    type: int
    data: bytes = b""
    digests: dict[Bank, bytes] = field(default_factory=dict)


def encode_log(events: Iterable[RawEvent], *, banks: Sequence[Bank] = BOTH_BANKS) -> bytes:
    """Write a crypto-agile log; a digest an event does not state is the hash of its data."""
    spec = struct.pack("<16sIBBBBI", SPEC_ID_SIGNATURE, 0, 0, 2, 0, 2, len(banks))
    spec += b"".join(struct.pack("<HH", ALGORITHM_IDS[bank], bank.digest_bytes) for bank in banks)
    spec += b"\0"
    out = struct.pack("<II20sI", 0, EV_NO_ACTION, bytes(20), len(spec)) + spec
    for event in events:
        out += struct.pack("<III", event.index, event.type, len(banks))
        for bank in banks:
            digest = event.digests.get(bank, bank.digest(event.data))
            out += struct.pack("<H", ALGORITHM_IDS[bank]) + digest
        out += struct.pack("<I", len(event.data)) + event.data
    return out


def _data_of(event: ExpectedEvent) -> bytes:
    if event.data is not None:
        return event.data
    if event.type == EV_IPL:
        return (event.label.removeprefix("section ") + "\0").encode("utf-16-le")
    if event.type == EV_EVENT_TAG:
        tag = TAG_LOAD_OPTIONS if event.label == "cmdline" else TAG_INITRD
        return struct.pack("<II", tag, 0)
    return event.label.encode()


def raw_events(prediction: Prediction, *, variant: Variant | None = None) -> list[RawEvent]:
    """The TPM log of a boot that goes exactly as predicted."""
    return [
        RawEvent(event.pcr, event.type, _data_of(event), _digests(event))
        for event in prediction.events
        if event.variant in (None, variant)
    ]


def raw_cc_events(prediction: Prediction) -> list[RawEvent]:
    """The CC log of the same boot in a trust domain (without RTMR0)."""
    return [
        RawEvent(TDX_REGISTERS.index(event.rtmr), event.type, _data_of(event), _digests(event))
        for event in prediction.events
        if event.variant is None and event.rtmr is not None
    ]


def _digests(event: ExpectedEvent) -> dict[Bank, bytes]:
    return {bank: event.digests.of(bank) for bank in BOTH_BANKS}
