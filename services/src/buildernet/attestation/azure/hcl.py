# SPDX-License-Identifier: MIT
"""The HCL report: what Azure's paravisor leaves in the vTPM for its guest.

It joins a TD report and JSON claims; the TD report's report data is the hash of the claims, and the
claims name the public half of the vTPM's attestation key.

Reference:
    Microsoft, "Guest attestation for confidential VMs"; specs/attestation.md section 4.2.
"""

import base64
import binascii
import struct
from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives.asymmetric import rsa

from buildernet.attestation.errors import AzureEvidenceFormatError
from buildernet.attestation.registers import Bank
from buildernet.base.strict_json import parse_json

MAX_REPORT_BYTES: Final = 8192
"""The NV index has 2600 bytes."""

MAX_BRACKETS: Final = 64
"""In the claims: `MAX_KEYS` keys have two each, the rest three. It bounds how deep they nest, which
Python versions limit differently."""

MAX_KEYS: Final = 8
"""Azure lists two: attestation key and endorsement key."""

TD_REPORT_BYTES: Final = 1024
USER_DATA_BYTES: Final = 64
ATTESTATION_KEY_ID: Final = "HCLAkPub"
MIN_RSA_BITS: Final = 2048
MAX_RSA_BITS: Final = 4096
"""A larger modulus would only cost the verifier time."""

_HEADER: Final = struct.Struct("<4sIIII12x")
_HARDWARE_REPORT_BYTES: Final = 1184
_RUNTIME_HEADER: Final = struct.Struct("<IIIII")
_RUNTIME_START: Final = _HEADER.size + _HARDWARE_REPORT_BYTES + _RUNTIME_HEADER.size
_SIGNATURE: Final = b"HCLA"
_VERSION: Final = 2
_REPORT_TYPE_TDX: Final = 4
_BANK_OF_HASH: Final = {1: Bank.SHA256, 2: Bank.SHA384, 3: Bank.SHA512}


@dataclass(frozen=True, slots=True)
class RuntimeClaims:
    """The parts of the paravisor's claims that a verification uses."""

    attestation_key: rsa.RSAPublicKey
    user_data: bytes
    """64 bytes that the guest wrote to NV index 0x01400002; zeros until then."""
    vm_id: str
    secure_boot: bool


@dataclass(frozen=True, slots=True)
class HCLReport:
    """A parsed report; nothing in it is believed yet."""

    td_report: bytes
    """1024 bytes, authenticated towards this host's CPU only."""
    hash_bank: Bank
    """How `runtime_data` is hashed into the TD report's report data."""
    runtime_data: bytes
    """JSON exactly as hashed."""
    claims: RuntimeClaims


def parse_hcl_report(data: bytes) -> HCLReport:
    """Parse the contents of NV index 0x01400001.

    Args:
        data: at most `MAX_REPORT_BYTES`; zeros after the claims are padding.

    Raises:
        AzureEvidenceFormatError: not an HCL report about a trust domain, or damaged.
    """
    if not _RUNTIME_START <= len(data) <= MAX_REPORT_BYTES:
        raise AzureEvidenceFormatError(
            f"HCL report has {len(data)} bytes, not {_RUNTIME_START} to {MAX_REPORT_BYTES}"
        )
    signature, version, _size, _request, status = _HEADER.unpack_from(data)
    if (signature, version, status) != (_SIGNATURE, _VERSION, 0):
        raise AzureEvidenceFormatError(
            f"HCL report starts with {signature!r}, version {version}, status {status};"
            f" expected {_SIGNATURE!r}, version {_VERSION}, status 0"
        )
    size, _version, kind, hash_id, claim_bytes = _RUNTIME_HEADER.unpack_from(
        data, _HEADER.size + _HARDWARE_REPORT_BYTES
    )
    if kind != _REPORT_TYPE_TDX:
        raise AzureEvidenceFormatError(f"HCL report of type {kind}, not {_REPORT_TYPE_TDX} (TDX)")
    if hash_id not in _BANK_OF_HASH:
        raise AzureEvidenceFormatError(f"HCL report with the unknown hash {hash_id}")
    runtime_data = data[_RUNTIME_START : _RUNTIME_START + claim_bytes]
    if len(runtime_data) != claim_bytes or size != claim_bytes + _RUNTIME_HEADER.size:
        raise AzureEvidenceFormatError(
            f"HCL report announces {claim_bytes} bytes of claims in {size},"
            f" {len(data) - _RUNTIME_START} are left"
        )
    if data[_RUNTIME_START + claim_bytes :].strip(b"\0"):
        raise AzureEvidenceFormatError("bytes that are not padding follow the HCL report")
    return HCLReport(
        td_report=data[_HEADER.size : _HEADER.size + TD_REPORT_BYTES],
        hash_bank=_BANK_OF_HASH[hash_id],
        runtime_data=runtime_data,
        claims=parse_runtime_claims(runtime_data),
    )


def parse_runtime_claims(data: bytes) -> RuntimeClaims:
    """Parse the claims alone, as protocol A sends them; the caller bounds their size.

    Raises:
        AzureEvidenceFormatError: they are damaged, or name no attestation key.
    """
    opened = data.count(b"{") + data.count(b"[")
    if opened > MAX_BRACKETS:
        raise AzureEvidenceFormatError(f"runtime claims open {opened} brackets, not {MAX_BRACKETS}")
    try:
        claims = parse_json(data.decode("utf-8"))
        keys = claims["keys"]
        if not isinstance(keys, list) or len(keys) > MAX_KEYS:
            raise AzureEvidenceFormatError(
                f"runtime claims without a list of up to {MAX_KEYS} keys"
            )
        found = [key for key in keys if key["kid"] == ATTESTATION_KEY_ID]
        if len(found) != 1:
            raise AzureEvidenceFormatError(
                f"runtime claims name {len(found)} keys {ATTESTATION_KEY_ID}, not one"
            )
        user_data = bytes.fromhex(claims["user-data"])
        vm = claims["vm-configuration"]
        result = RuntimeClaims(
            attestation_key=_parse_key(found[0]),
            user_data=user_data,
            vm_id=str(vm["vmUniqueId"]),
            secure_boot=vm["secure-boot"] is True,
        )
    except (ValueError, KeyError, TypeError) as exc:
        raise AzureEvidenceFormatError(f"runtime claims: {type(exc).__name__}: {exc}") from exc
    if len(user_data) != USER_DATA_BYTES:
        raise AzureEvidenceFormatError(
            f"user-data of the runtime claims has {len(user_data)} bytes, not {USER_DATA_BYTES}"
        )
    return result


def _parse_key(jwk: dict[str, object]) -> rsa.RSAPublicKey:
    if jwk["kty"] != "RSA" or jwk["key_ops"] != ["sign"]:
        raise AzureEvidenceFormatError(f"{ATTESTATION_KEY_ID} is not an RSA key for signing")
    modulus, exponent = (_parse_number(jwk[name]) for name in ("n", "e"))
    if not MIN_RSA_BITS <= modulus.bit_length() <= MAX_RSA_BITS or exponent.bit_length() > 32:
        raise AzureEvidenceFormatError(
            f"{ATTESTATION_KEY_ID} has {modulus.bit_length()} bits, exponent {exponent:#x}"
        )
    return rsa.RSAPublicNumbers(exponent, modulus).public_key()


def _parse_number(text: object) -> int:
    if not isinstance(text, str):
        raise AzureEvidenceFormatError(f"number of {ATTESTATION_KEY_ID} is no string")
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error as exc:
        raise AzureEvidenceFormatError(f"number of {ATTESTATION_KEY_ID}: {exc}") from exc
    return int.from_bytes(raw, "big")
