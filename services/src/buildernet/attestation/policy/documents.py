# SPDX-License-Identifier: MIT
"""Every published form of expected measurements, read into one `MeasurementPolicy`.

| form | published by |
|---|---|
| list of records, numbered registers, `expected` or `expected_any` | BuilderNet, this project |
| the same with named registers | attested-tls, `buildernet-measure image --style names` |
| one record instead of a list | parts of a list |
| object of names, each with numbered registers (first version, always azure-tdx) | older images |
| `buildernet-events/1` document | our events.json |

Reference:
    specs/services.md section 2.5; measurements/README.md.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from buildernet.attestation.errors import DigestError, PolicyError
from buildernet.attestation.policy.measurements import (
    IMAGE_REGISTERS,
    MeasurementPolicy,
    MeasurementRecord,
    Platform,
)
from buildernet.attestation.registers import PCRS, TDX_REGISTERS, Digest, Register, parse_digest
from buildernet.base.strict_json import parse_json

MAX_POLICY_BYTES: Final = 4 << 20
"""BuilderNet's list of two years has 13 KiB, an events document 40 KiB."""

MAX_RECORDS: Final = 4096
"""Above what a release history can hold."""

MAX_CHOICES: Final = 64
"""Legal values of one register; BuilderNet's longest list has 5."""

EVENTS_SCHEMA: Final = "buildernet-events/1"

_PLATFORMS: Final = {
    "dcap-tdx": Platform.DCAP_TDX,
    "qemu-tdx": Platform.DCAP_TDX,
    "gcp-tdx": Platform.DCAP_TDX,
    "azure-tdx": Platform.AZURE_TDX,
}

Json = Mapping[str, Any]  # Any: JSON before it is checked

_RECORD_KEYS: Final = {"measurement_id", "attestation_type", "measurements"}


def parse_measurement_policy(
    data: bytes, *, unsafe_accept_anything: bool = False
) -> MeasurementPolicy:
    """Read a policy.

    Args:
        data: JSON in any form of the module's table, at most `MAX_POLICY_BYTES`.
        unsafe_accept_anything: take records without registers, which any machine fits.

    Raises:
        PolicyError: not such a document, over a limit, with a part this reader does not know (it
            might restrict what passes), or with a record that would accept anything.
    """
    if len(data) > MAX_POLICY_BYTES:
        raise PolicyError(f"measurements are larger than {MAX_POLICY_BYTES} bytes")
    try:
        document = parse_json(data)
    except (ValueError, RecursionError) as exc:
        raise PolicyError(f"measurements are not JSON: {str(exc)[:200]}") from exc
    records = tuple(_parse_records(document))
    if len(records) > MAX_RECORDS:
        raise PolicyError(f"measurements have more than {MAX_RECORDS} records")
    return MeasurementPolicy(records, unsafe_accept_anything=unsafe_accept_anything)


def _parse_records(document: object) -> Iterable[MeasurementRecord]:
    if isinstance(document, list):
        return [_parse_record(_object(entry, "a record")) for entry in document]
    table = _object(document, "the document")
    if table.get("schema") == EVENTS_SCHEMA:
        return _parse_events(table)
    if "attestation_type" in table:
        return [_parse_record(table)]
    return [
        _make_record(name, Platform.AZURE_TDX, _object(registers, name))
        for name, registers in table.items()
    ]


def _parse_record(record: Json) -> MeasurementRecord:
    unknown = sorted(set(record) - _RECORD_KEYS)
    if unknown:
        raise PolicyError(
            f"a record has the unknown part {unknown[0]!r}",
            hint="it may restrict what passes, so it is not ignored",
        )
    name = record.get("attestation_type")
    platform = _PLATFORMS.get(name) if isinstance(name, str) else None
    if platform is None:
        raise PolicyError(
            f"unknown attestation type {name!r}", hint=f"known: {', '.join(_PLATFORMS)}"
        )
    identifier = record.get("measurement_id", "")
    if not isinstance(identifier, str):
        raise PolicyError("measurement_id is not text")
    registers = _object(record.get("measurements", {}), f"measurements of {identifier!r}")
    return _make_record(identifier, platform, registers)


def _make_record(identifier: str, platform: Platform, registers: Json) -> MeasurementRecord:
    expected: dict[Register, tuple[Digest, ...]] = {}
    for key, value in registers.items():
        register = _register(key, platform)
        if register in expected:
            raise PolicyError(f"record {identifier!r} names {register} twice")
        expected[register] = _choices(value, register, platform)
    return MeasurementRecord(identifier, platform, expected)


def _register(key: str, platform: Platform) -> Register:
    legal = TDX_REGISTERS if platform is Platform.DCAP_TDX else PCRS
    for register in legal:
        if key in (register.value, str(register.number)):
            return register
    raise PolicyError(
        f"{platform} has no register {key!r}", hint=f"it has {legal[0]} to {legal[-1]}"
    )


def _choices(value: object, register: Register, platform: Platform) -> tuple[Digest, ...]:
    if isinstance(value, str):
        return (_digest(value, register, platform),)
    table = _object(value, f"the expectation of {register}")
    if set(table) == {"expected"}:
        return (_digest(table["expected"], register, platform),)
    if set(table) != {"expected_any"}:
        raise PolicyError(
            f"{register} needs either `expected` or `expected_any`, has: {', '.join(table) or '-'}"
        )
    values = table["expected_any"]
    if not isinstance(values, list) or not 1 <= len(values) <= MAX_CHOICES:
        raise PolicyError(f"expected_any of {register} is not a list of 1 to {MAX_CHOICES} values")
    return tuple(_digest(text, register, platform) for text in values)


def _digest(text: object, register: Register, platform: Platform) -> Digest:
    if not isinstance(text, str):
        raise PolicyError(f"value of {register} is not text")
    try:
        return parse_digest(platform.bank, text)
    except DigestError as exc:
        raise PolicyError(f"value of {register}: {exc}") from exc


def _parse_events(document: Json) -> list[MeasurementRecord]:
    stated = _object(document.get("registers"), "registers of the events document")
    name = f"events of UKI {str(document.get('uki_sha256'))[:16]}"
    records = []
    for platform, registers in IMAGE_REGISTERS.items():
        if platform is Platform.AZURE_TDX and document.get("boot") != "gpt":
            continue  # Azure boots from disk only
        if not all(register in stated for register in registers):
            continue  # firmware without TDX metadata has no MRTD
        choices = {
            register.value: {"expected_any": _object(stated[register], register)[platform.bank]}
            for register in registers
            if platform.bank in _object(stated[register], register)
        }
        if len(choices) == len(registers):
            records.append(_make_record(name, platform, choices))
    return records


def _object(value: object, what: str) -> Json:
    if not isinstance(value, dict):
        raise PolicyError(f"{what} is not a JSON object")
    return value
