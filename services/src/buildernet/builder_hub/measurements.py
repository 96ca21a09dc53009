# SPDX-License-Identifier: MIT
"""Which images belong to the network, and whether what a proxy proved about a caller is one.

A measurement is stored in one normal form: registers by number, values in lower case. Whether it
fits is decided by `buildernet.attestation.policy`, on bytes. Only with the option
`dangerously_accept_unattested_measurements` may a measurement name no register (which fits any
machine) or a type that no hardware vouches for; the latter is compared as text.
"""

import json
import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from buildernet.attestation.errors import DigestError, PolicyError, VerificationError
from buildernet.attestation.node import ATTESTATION_TYPES
from buildernet.attestation.policy import (
    MeasurementPolicy,
    MeasurementRecord,
    Platform,
    parse_measurement_policy,
)
from buildernet.attestation.policy.documents import EVENTS_SCHEMA, MAX_CHOICES, MAX_RECORDS
from buildernet.attestation.registers import (
    PCRS,
    TDX_REGISTERS,
    Digest,
    Register,
    parse_digest,
)
from buildernet.builder_hub.documents import parse_json
from buildernet.builder_hub.errors import BadRequestError, InstanceRefusedError
from buildernet.builder_hub.names import parse_measurement_name, parse_name

MAX_REGISTERS: Final = 64
"""Keys of one measurement or header; a TPM has 24 registers."""

_log = logging.getLogger(__name__)

# Any: JSON, before it is checked.
Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Measurement:
    """One image on one platform."""

    name: str
    attestation_type: str
    expected: Mapping[str, tuple[str, ...]]
    """Register number, as text, and its legal values in lower-case hexadecimal."""
    id: int = 0

    @property
    def platform(self) -> Platform | None:
        """Whose registers they are; None for a type that no hardware vouches for."""
        return ATTESTATION_TYPES.get(self.attestation_type)

    def render(self) -> dict[str, object]:
        """Return the object that routes and published files hold."""
        registers: dict[str, object] = {}
        for number, values in self.expected.items():
            several = len(values) > 1
            registers[number] = (
                {"expected_any": list(values)} if several else {"expected": values[0]}
            )
        return {
            "measurement_id": self.name,
            "attestation_type": self.attestation_type,
            "measurements": registers,
        }

    def record(self) -> MeasurementRecord | None:
        """Return it as the policy holds it; None for a type that no hardware vouches for."""
        if self.platform is None:
            return None
        registers = _registers(self.platform)
        bank = self.platform.bank
        return MeasurementRecord(
            self.name,
            self.platform,
            {
                registers[int(number)]: tuple(parse_digest(bank, value) for value in values)
                for number, values in self.expected.items()
            },
        )


@dataclass(frozen=True, slots=True)
class Claim:
    """What the attested proxy says about a caller."""

    attestation_type: str
    values: Mapping[str, str]


def parse_posted(data: bytes, *, unsafe: bool) -> Sequence[Measurement]:
    """Read what an admin posts: one measurement, a list of them, or an events document.

    Args:
        data: JSON in a form of `parse_measurement_policy`.
        unsafe: Take measurements without registers, and of other types.

    Raises:
        BadRequestError: It is none of these, or has no name.
    """
    document = parse_json(data)
    if isinstance(document, dict) and document.get("schema") == EVENTS_SCHEMA:
        return _from_policy(data)
    entries = document if isinstance(document, list) else [document]
    if not 1 <= len(entries) <= MAX_RECORDS:
        raise BadRequestError(f"1 to {MAX_RECORDS} measurements can be added at once")
    return _with_own_names([_parse_entry(entry, unsafe=unsafe) for entry in entries])


def parse_stored(row_id: int, name: str, attestation_type: str, document: str) -> Measurement:
    """Read a measurement as the database holds it."""
    expected = {number: tuple(values) for number, values in json.loads(document).items()}
    return Measurement(name, attestation_type, expected, row_id)


def stored_document(measurement: Measurement) -> str:
    """Return what the database holds of a measurement."""
    return json.dumps({number: list(values) for number, values in measurement.expected.items()})


def parse_claim(attestation_type: str, header: str) -> Claim:
    """Read the proxy's headers.

    Raises:
        InstanceRefusedError: The type is empty, or the header is no JSON object of texts.
    """
    if not attestation_type:
        raise InstanceRefusedError("no attestation type")
    try:
        values = json.loads(header)
    except (ValueError, RecursionError) as exc:
        raise InstanceRefusedError("the measurement header is not JSON") from exc
    if not isinstance(values, dict) or len(values) > MAX_REGISTERS:
        raise InstanceRefusedError("the measurement header is not a JSON object of registers")
    if not all(isinstance(value, str) for value in values.values()):
        raise InstanceRefusedError("the measurement header holds something else than text")
    return Claim(attestation_type, values)


def build_policy(measurements: Iterable[Measurement], *, unsafe: bool) -> MeasurementPolicy:
    """Return the policy that evidence is verified with.

    Raises:
        PolicyError: There is no measurement of a known type.
    """
    records = tuple(
        record
        for record in (measurement.record() for measurement in measurements)
        if record is not None and (record.expected or unsafe)
    )
    return MeasurementPolicy(records, unsafe_accept_anything=unsafe)


def match_claim(measurements: Sequence[Measurement], claim: Claim, *, unsafe: bool) -> Measurement:
    """Return the first measurement that fits what the proxy says.

    Types of one platform are the same here: the proxy calls a TDX guest `qemu-tdx` in one protocol
    and `dcap-tdx` in another.

    Raises:
        InstanceRefusedError: None fits; the reason names the nearest difference.
    """
    platform = ATTESTATION_TYPES.get(claim.attestation_type)
    if platform is None:
        if unsafe:
            return _match_text(measurements, claim)
        raise InstanceRefusedError(f"no hardware vouches for {claim.attestation_type[:40]!r}")
    actual = _actual(platform, claim.values)
    named = {one.name: one for one in measurements if one.platform is platform}
    try:
        match = build_policy(named.values(), unsafe=unsafe).match(platform, actual)
    except (PolicyError, VerificationError) as exc:
        raise InstanceRefusedError(f"no active measurement fits: {exc}") from exc
    return named[match.record.measurement_id]


def _with_own_names(measurements: Sequence[Measurement]) -> Sequence[Measurement]:
    """Give entries of one list that share a name their type behind it: `NAME:azure-tdx`.

    A published list has one entry for each platform of an image, all under the image's name.
    """
    counts = Counter(one.name for one in measurements)
    return [
        replace(one, name=parse_measurement_name(f"{one.name}:{one.attestation_type}"))
        if counts[one.name] > 1
        else one
        for one in measurements
    ]


def _match_text(measurements: Sequence[Measurement], claim: Claim) -> Measurement:
    for one in measurements:
        if one.attestation_type == claim.attestation_type and all(
            claim.values.get(number) in values for number, values in one.expected.items()
        ):
            return one
    raise InstanceRefusedError(f"no active measurement of type {claim.attestation_type[:40]!r}")


def _parse_entry(entry: object, *, unsafe: bool) -> Measurement:
    if not isinstance(entry, dict):
        raise BadRequestError("a measurement is not a JSON object")
    name = parse_measurement_name(entry.get("measurement_id"))
    kind = parse_name(entry.get("attestation_type"), "attestation_type")
    if kind not in ATTESTATION_TYPES:
        if not unsafe:
            raise BadRequestError(f"unknown attestation type {kind}")
        return Measurement(name, kind, _parse_texts(entry.get("measurements") or {}))
    (record,) = _policy(json.dumps([entry]).encode(), unsafe=unsafe).records
    return Measurement(name, kind, _normal(record))


def _parse_texts(registers: object) -> Mapping[str, tuple[str, ...]]:
    """Read the registers of a type that is compared as text."""
    if not isinstance(registers, dict) or len(registers) > MAX_REGISTERS:
        raise BadRequestError("measurements is not a JSON object of registers")
    found = {}
    for number, value in registers.items():
        choices = (
            value.get("expected_any", [value.get("expected")])
            if isinstance(value, dict)
            else [value]
        )
        if not isinstance(choices, list) or not 1 <= len(choices) <= MAX_CHOICES:
            raise BadRequestError(f"register {number[:40]} has no values")
        if not all(isinstance(choice, str) for choice in choices):
            raise BadRequestError(f"register {number[:40]} has a value that is no text")
        found[number] = tuple(choices)
    return found


def _from_policy(data: bytes) -> Sequence[Measurement]:
    return [
        Measurement(
            parse_measurement_name(f"{record.measurement_id} {record.platform}"),
            record.platform.value,
            _normal(record),
        )
        for record in _policy(data, unsafe=False).records
    ]


def _policy(data: bytes, *, unsafe: bool) -> MeasurementPolicy:
    try:
        return parse_measurement_policy(data, unsafe_accept_anything=unsafe)
    except PolicyError as exc:
        raise BadRequestError(exc.message) from exc


def _normal(record: MeasurementRecord) -> Mapping[str, tuple[str, ...]]:
    ordered = sorted(record.expected.items(), key=lambda item: item[0].number)
    return {
        str(register.number): tuple(value.hex() for value in values) for register, values in ordered
    }


def _actual(platform: Platform, values: Mapping[str, str]) -> Mapping[Register, Digest]:
    registers = {str(register.number): register for register in _registers(platform)}
    actual = {}
    for number, text in values.items():
        if number not in registers:
            continue  # no measurement can name it
        try:
            actual[registers[number]] = parse_digest(platform.bank, text)
        except DigestError as exc:
            raise InstanceRefusedError(f"register {number} of the header: {exc}") from exc
    return actual


def _registers(platform: Platform) -> Sequence[Register]:
    return TDX_REGISTERS if platform is Platform.DCAP_TDX else PCRS
