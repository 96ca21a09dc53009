# SPDX-License-Identifier: MIT
"""The SGX extension of a PCK certificate: which platform, and its security versions.

Reference:
    Intel SGX PCK certificate and CRL profile specification 1.5, section 1.3.5;
    specs/attestation.md section 2.2.
"""

from dataclasses import dataclass
from typing import Final

from buildernet.attestation.errors import CertificateFormatError

TCB_COMPONENTS: Final = 16

_SEQUENCE: Final = 0x30
_OID: Final = 0x06
_INTEGER: Final = 0x02
_OCTETS: Final = 0x04
_MAX_SHORT_LENGTH: Final = 0x7F
_MAX_INTEGER_BYTES: Final = 4

_PREFIX: Final = bytes.fromhex("2a864886f84d010d01")
"""DER of 1.2.840.113741.1.13.1, without tag and length."""
_PPID: Final = _PREFIX + b"\x01"
_TCB: Final = _PREFIX + b"\x02"
_PCEID: Final = _PREFIX + b"\x03"
_FMSPC: Final = _PREFIX + b"\x04"
_PCESVN: Final = _TCB + b"\x11"


@dataclass(frozen=True, slots=True)
class PCKExtension:
    """What a PCK certificate says about its platform."""

    ppid: bytes
    """16 bytes: this one platform."""
    fmspc: bytes
    """6 bytes: this kind of platform."""
    pce_id: bytes
    """2 bytes."""
    components: tuple[int, ...]
    """16 SVNs."""
    pce_svn: int


def parse_pck_extension(der: bytes) -> PCKExtension:
    """Parse the extension's value.

    Raises:
        CertificateFormatError: not DER, or a field is missing or has another size.
    """
    fields = _fields(_value(der, _SEQUENCE, "SGX extension"))
    tcb = _fields(_value(_field(fields, _TCB), _SEQUENCE, "TCB"))
    return PCKExtension(
        ppid=_octets(fields, _PPID, 16),
        fmspc=_octets(fields, _FMSPC, 6),
        pce_id=_octets(fields, _PCEID, 2),
        components=tuple(
            _integer(tcb, _TCB + bytes([number])) for number in range(1, TCB_COMPONENTS + 1)
        ),
        pce_svn=_integer(tcb, _PCESVN),
    )


def _fields(data: bytes) -> dict[bytes, bytes]:
    """Split SEQUENCEs of { OID, value } into OID content and whole value."""
    fields: dict[bytes, bytes] = {}
    while data:
        end = _end(data)
        pair = _value(data[:end], _SEQUENCE, "field of the SGX extension")
        split = _end(pair)
        oid = _value(pair[:split], _OID, "name of a field of the SGX extension")
        if oid in fields:
            raise CertificateFormatError("SGX extension has a field twice")
        fields[oid], data = pair[split:], data[end:]
    return fields


def _end(data: bytes) -> int:
    """Return where the first element ends."""
    if len(data) < 2:
        raise CertificateFormatError("SGX extension is cut short")
    length, start = data[1], 2
    if length > _MAX_SHORT_LENGTH:
        start = 2 + length - 0x80
        length = int.from_bytes(data[2:start], "big")
    if not 2 < start <= 4 and start != 2:
        raise CertificateFormatError("SGX extension has an impossible length")
    if start + length > len(data):
        raise CertificateFormatError("SGX extension is cut short")
    return start + length


def _value(element: bytes, tag: int, what: str) -> bytes:
    end = _end(element)
    if element[0] != tag or end != len(element):
        raise CertificateFormatError(f"{what}: expected one DER element of tag 0x{tag:02x}")
    start = 2 if element[1] <= _MAX_SHORT_LENGTH else 2 + element[1] - 0x80
    return element[start:]


def _field(fields: dict[bytes, bytes], oid: bytes) -> bytes:
    if oid not in fields:
        raise CertificateFormatError(f"SGX extension lacks the field {oid[-2:].hex(' ')}")
    return fields[oid]


def _octets(fields: dict[bytes, bytes], oid: bytes, size: int) -> bytes:
    value = _value(_field(fields, oid), _OCTETS, "field of the SGX extension")
    if len(value) != size:
        raise CertificateFormatError(f"field {oid[-1]} of the SGX extension has {len(value)} bytes")
    return value


def _integer(fields: dict[bytes, bytes], oid: bytes) -> int:
    value = _value(_field(fields, oid), _INTEGER, "SVN of the SGX extension")
    if not 1 <= len(value) <= _MAX_INTEGER_BYTES or value[0] & 0x80:
        raise CertificateFormatError("an SVN of the SGX extension is no small positive number")
    return int.from_bytes(value, "big")
