# SPDX-License-Identifier: MIT
"""TPM quotes made without a TPM, and certificates for the keys that sign them."""

from __future__ import annotations

import datetime
import struct
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from buildernet.attestation.ak_chain import AIK_CERTIFICATE
from buildernet.attestation.registers import Bank, Digest
from buildernet.attestation.tpm_quote import (
    MAGIC,
    TYPE_QUOTE,
    Scheme,
    TPMSignature,
    compute_pcr_digest,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

BANK_IDS: Final = {Bank.SHA1: 0x4, Bank.SHA256: 0xB, Bank.SHA384: 0xC, Bank.SHA512: 0xD}
AT: Final = 1_800_000_000
_MOMENT: Final = datetime.datetime.fromtimestamp(AT, datetime.UTC)
_DAY: Final = datetime.timedelta(days=1)


def make_attest(
    pcrs: Mapping[Bank, Mapping[int, Digest]], nonce: bytes, *, hash_bank: Bank = Bank.SHA256
) -> bytes:
    """A TPMS_ATTEST over these PCRs."""
    selection = {bank: tuple(sorted(values)) for bank, values in pcrs.items()}
    digest = compute_pcr_digest(hash_bank, selection, pcrs)
    parts = [
        struct.pack(">IH", MAGIC, TYPE_QUOTE),
        *(struct.pack(">H", len(part)) + part for part in (b"\0\x0b" + bytes(32), nonce)),
        struct.pack(">QIIBQ", 1000, 3, 0, 1, 0x20240125),
        struct.pack(">I", len(selection)),
    ]
    for bank, numbers in selection.items():
        bitmap = sum(1 << number for number in numbers)
        parts.append(struct.pack(">HB", BANK_IDS[bank], 3) + bitmap.to_bytes(3, "little"))
    return b"".join([*parts, struct.pack(">H", len(digest)), digest])


def sign_attest(key: ec.EllipticCurvePrivateKey, message: bytes) -> TPMSignature:
    """An ECDSA signature with SHA-256."""
    return TPMSignature(Scheme.ECDSA, Bank.SHA256, key.sign(message, ec.ECDSA(hashes.SHA256())))


def make_certificate(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: tuple[x509.Certificate, ec.EllipticCurvePrivateKey] | None = None,
    *,
    authority: bool = True,
    path_length: int | None = None,
    usage: x509.ObjectIdentifier | None = AIK_CERTIFICATE,
    days: int = 30,
    critical: x509.ExtensionType | None = None,
    public: rsa.RSAPublicKey | None = None,
) -> x509.Certificate:
    """A certificate valid one day before to `days` after `AT`; self-signed without issuer."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer[0].subject if issuer else subject)
        .public_key(public or key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_MOMENT - _DAY)
        .not_valid_after(_MOMENT + days * _DAY)
        .add_extension(x509.BasicConstraints(ca=authority, path_length=path_length), critical=True)
        .add_extension(_key_usage(authority=authority), critical=True)
    )
    if not authority and usage is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    if critical is not None:
        builder = builder.add_extension(critical, critical=True)
    return builder.sign(issuer[1] if issuer else key, hashes.SHA256())


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )
