# SPDX-License-Identifier: MIT
"""events.json: a prediction as a document, and back.

The format is defined in measurements/README.md. A document read back is checked: its register
values must follow from its events, so that nobody can change one without the other.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

from buildernet.attestation.errors import DigestError
from buildernet.attestation.event_log import EVENT_TYPE_NAMES
from buildernet.attestation.registers import PCR_COUNT, Digest32, Digest48, Register
from buildernet.measure.digests import Digests
from buildernet.measure.errors import DocumentError
from buildernet.measure.events import (
    VARIANT_REASONS,
    BootPath,
    ExpectedEvent,
    Lookalike,
    Variant,
)
from buildernet.measure.mrtd import MRTD
from buildernet.measure.prediction import Platform, Prediction, Provenance, banks_of

SCHEMA: Final = "buildernet-events/1"

MAX_DOCUMENT_BYTES: Final = 4 << 20
"""A document has about 40 KiB."""

MAX_EVENTS: Final = 1024
"""A prediction has about 40."""

RTMR0_REASON: Final = (
    "RTMR0 holds the machine (memory map, ACPI, boot entries), not the image: it is never promised"
)

Json = dict[str, Any]  # Any: JSON before it is checked

_TYPE_OF_NAME: Final = {name: number for number, name in EVENT_TYPE_NAMES.items()}


def encode_prediction(prediction: Prediction) -> str:
    """Write the document; the same prediction gives the same bytes."""
    mrtd = prediction.mrtd
    registers = (*((Register.MRTD,) if mrtd else ()), *prediction.promised)
    document: Json = {
        "schema": SCHEMA,
        "boot": prediction.boot,
        "stub": prediction.stub,
        "cmdline": prediction.cmdline,
        "uki_sha256": prediction.uki_sha256.hex(),
        "firmware": {
            "sha256": prediction.firmware_sha256.hex(),
            "name": prediction.firmware_name,
            "mrtd": mrtd
            and {"single_pass": mrtd.single_pass.hex(), "two_pass": mrtd.two_pass.hex()},
        },
        "conditions": list(prediction.conditions),
        "promised": list(prediction.promised),
        "registers": {register: _values(prediction, register) for register in registers},
        "variants": {variant: VARIANT_REASONS[variant] for variant in Variant},
        "events": [_encode_event(number, event) for number, event in enumerate(prediction.events)],
        "rtmr0": {
            "promised": False,
            "reason": RTMR0_REASON,
            "platforms": [
                {
                    "platform": platform.name,
                    "provenance": platform.provenance,
                    "sha384": platform.rtmr0.hex(),
                    "note": platform.note,
                }
                for platform in prediction.platforms
            ],
        },
    }
    return json.dumps(document, indent=2) + "\n"


def _values(prediction: Prediction, register: Register) -> Json:
    return {
        bank: [value.hex() for value in prediction.values(register, bank)]
        for bank in banks_of(register)
    }


def _encode_event(number: int, event: ExpectedEvent) -> Json:
    return {
        "number": number,
        "pcr": event.pcr,
        "rtmr": event.rtmr,
        "type": event.type_name,
        "label": event.label,
        "sha256": event.digests.sha256.hex(),
        "sha384": event.digests.sha384.hex(),
        "description": event.description,
        "reason": event.reason,
        "variant": event.variant,
        "data": None if event.data is None else event.data.hex(),
        "lookalikes": [
            {
                "cause": lookalike.cause,
                "sha256": lookalike.digests.sha256.hex(),
                "sha384": lookalike.digests.sha384.hex(),
            }
            for lookalike in event.lookalikes
        ],
    }


def parse_prediction(text: str | bytes) -> Prediction:
    """Read a document and check that it agrees with itself.

    Raises:
        DocumentError: not JSON of schema `SCHEMA`, over a limit, or contradictory.
    """
    if len(text) > MAX_DOCUMENT_BYTES:
        raise DocumentError(f"events document is larger than {MAX_DOCUMENT_BYTES} bytes")
    try:
        document = json.loads(text)
        if document["schema"] != SCHEMA:
            raise DocumentError(
                f"unknown schema {document['schema']!r}",
                hint=f"this version reads {SCHEMA}; use the buildernet-measure of that release",
            )
        prediction = _parse(document)
        _check_registers(prediction, document["registers"])
    except DigestError as exc:
        raise DocumentError(f"events document: {exc}") from exc
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as exc:
        raise DocumentError(
            f"not an events document: {type(exc).__name__} {str(exc)[:200]}",
            hint="expected the events.json that `buildernet-measure image` writes",
        ) from exc
    return prediction


def _parse(document: Json) -> Prediction:
    firmware = document["firmware"]
    mrtd = firmware["mrtd"]
    if len(document["events"]) > MAX_EVENTS:
        raise DocumentError(f"events document has more than {MAX_EVENTS} events")
    return Prediction(
        boot=BootPath(document["boot"]),
        stub=_text(document["stub"]),
        cmdline=_text(document["cmdline"]),
        uki_sha256=Digest32.parse(document["uki_sha256"]),
        firmware_sha256=Digest32.parse(firmware["sha256"]),
        firmware_name=None if firmware["name"] is None else _text(firmware["name"]),
        mrtd=mrtd and MRTD(Digest48.parse(mrtd["single_pass"]), Digest48.parse(mrtd["two_pass"])),
        conditions=tuple(_text(condition) for condition in document["conditions"]),
        promised=tuple(Register(name) for name in document["promised"]),
        events=tuple(_parse_event(entry) for entry in document["events"]),
        platforms=tuple(_parse_platform(entry) for entry in document["rtmr0"]["platforms"]),
    )


def parse_platforms(text: str | bytes) -> tuple[Platform, ...]:
    """Parse a JSON list of rows about RTMR0, as they stand in an events document.

    Raises:
        DocumentError: it does not follow the schema.
    """
    try:
        return tuple(_parse_platform(entry) for entry in json.loads(text))
    except DigestError as exc:
        raise DocumentError(f"platforms: {exc}") from exc
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as exc:
        raise DocumentError(f"not a list of platforms: {exc!r}"[:300]) from exc


def _parse_platform(entry: Json) -> Platform:
    return Platform(
        name=_text(entry["platform"]),
        provenance=Provenance(entry["provenance"]),
        rtmr0=Digest48.parse(entry["sha384"]),
        note=_text(entry["note"]),
    )


def _parse_event(entry: Json) -> ExpectedEvent:
    pcr = entry["pcr"]
    if type(pcr) is not int or not 0 <= pcr < PCR_COUNT:
        raise DocumentError(f"event about PCR {pcr!r}: no such register")
    data = entry["data"]
    return ExpectedEvent(
        pcr=pcr,
        rtmr=None if entry["rtmr"] is None else Register(entry["rtmr"]),
        type=_TYPE_OF_NAME[entry["type"]],
        label=_text(entry["label"]),
        digests=_digests(entry),
        description=_text(entry["description"]),
        reason=_text(entry["reason"]),
        variant=None if entry["variant"] is None else Variant(entry["variant"]),
        data=None if data is None else bytes.fromhex(data),
        lookalikes=tuple(
            Lookalike(_text(other["cause"]), _digests(other)) for other in entry["lookalikes"]
        ),
    )


def _digests(entry: Json) -> Digests:
    return Digests(Digest32.parse(entry["sha256"]), Digest48.parse(entry["sha384"]))


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected text, got {type(value).__name__}")
    return value


def _check_registers(prediction: Prediction, stated: Mapping[str, Any]) -> None:
    registers = (*((Register.MRTD,) if prediction.mrtd else ()), *prediction.promised)
    for register in registers:
        if stated[register] != _values(prediction, register):
            raise DocumentError(
                f"the values of {register} do not follow from the document's events",
                hint="the document was changed by hand or damaged; fetch it again",
            )
