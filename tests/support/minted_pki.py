# SPDX-License-Identifier: MIT
"""Certificates and revocation lists of a simulated SGX hierarchy; every subject says SIMULATED."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

MINTED_AT: Final = 1_780_000_000
"""Unix time in the middle of every validity."""

FMSPC: Final = bytes.fromhex("50806f000000")
PCE_ID: Final = bytes(2)
PCE_SVN: Final = 13
SGX_EXTENSION: Final = "1.2.840.113741.1.13.1"
NOW: Final = datetime.fromtimestamp(MINTED_AT, UTC)
DAY: Final = timedelta(days=1)


def raw_sign(key: ec.EllipticCurvePrivateKey, data: bytes) -> bytes:
    """Sign as r || s."""
    r, s = decode_dss_signature(key.sign(data, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def point(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Return the public key as x || y."""
    encoded = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return encoded[1:]


def der(tag: int, content: bytes) -> bytes:
    """Wrap content as one DER element."""
    if len(content) < 0x80:
        return bytes([tag, len(content)]) + content
    length = len(content).to_bytes((len(content).bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 + len(length)]) + length + content


def sgx_extension(
    *, fmspc: bytes = FMSPC, pce_id: bytes = PCE_ID, svn: int = 3, pce_svn: int = PCE_SVN
) -> bytes:
    """Encode the extension of a PCK certificate."""
    prefix = bytes.fromhex("2a864886f84d010d01")

    def entry(suffix: bytes, value: bytes) -> bytes:
        return der(0x30, der(0x06, prefix + suffix) + value)

    tcb = b"".join(entry(bytes([2, i]), der(0x02, bytes([svn]))) for i in range(1, 17))
    tcb += entry(bytes([2, 17]), der(0x02, bytes([pce_svn])))
    tcb += entry(bytes([2, 18]), der(0x04, bytes([svn] * 16)))
    return der(
        0x30,
        entry(b"\1", der(0x04, bytes(16)))
        + entry(b"\2", der(0x30, tcb))
        + entry(b"\3", der(0x04, pce_id))
        + entry(b"\4", der(0x04, fmspc))
        + entry(b"\5", der(0x0A, b"\1"))
        + entry(b"\6", der(0x04, bytes(16)))
        + entry(b"\7", der(0x30, b"".join(
            entry(bytes([7, i]), der(0x01, b"\xff")) for i in (1, 2, 3)
        ))),
    )  # fmt: skip


def name(common_name: str) -> x509.Name:
    """Return a subject in Intel's form, marked as simulated."""
    return x509.Name(
        [
            x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name),
            x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, "SIMULATED, not Intel"),
            x509.NameAttribute(x509.NameOID.COUNTRY_NAME, "US"),
        ]
    )


@dataclass(frozen=True)
class Issuer:
    """A certificate with its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)


def issue(
    common_name: str,
    issuer: Issuer | None,
    *,
    path_length: int | None = None,
    is_authority: bool = False,
    signs_data: bool | None = None,
    extension: bytes | None = None,
    critical: bool = False,
    key: ec.EllipticCurvePrivateKey | None = None,
    not_before: datetime = NOW - 365 * DAY,
    not_after: datetime = NOW + 3650 * DAY,
) -> Issuer:
    """Issue a certificate, with a new key if none is given; without issuer self-signed.

    What may be signed follows from `is_authority` unless `signs_data` says otherwise.
    """
    key = key or ec.generate_private_key(ec.SECP256R1())
    signs_data = not is_authority if signs_data is None else signs_data
    signing_key = issuer.key if issuer else key
    builder = (
        x509.CertificateBuilder()
        .subject_name(name(common_name))
        .issuer_name(issuer.certificate.subject if issuer else name(common_name))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(not_before)
        .not_valid_after(not_after)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signing_key.public_key()),
            critical=False,
        )
        .add_extension(
            x509.CRLDistributionPoints(
                [
                    x509.DistributionPoint(
                        [x509.UniformResourceIdentifier("https://simulated.invalid/crl.der")],
                        None, None, None,
                    )
                ]
            ),
            critical=False,
        )
        .add_extension(
            x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
        )
        .add_extension(x509.BasicConstraints(is_authority, path_length), critical=True)
        .add_extension(
            x509.KeyUsage(
                digital_signature=signs_data, content_commitment=signs_data,
                key_encipherment=False, data_encipherment=False, key_agreement=False,
                key_cert_sign=not signs_data, crl_sign=not signs_data,
                encipher_only=False, decipher_only=False,
            ),
            critical=True,
        )
    )  # fmt: skip
    if extension is not None:
        oid = x509.ObjectIdentifier(SGX_EXTENSION)
        builder = builder.add_extension(x509.UnrecognizedExtension(oid, extension), critical=False)
    if critical:
        value = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\5\0")
        builder = builder.add_extension(value, critical=True)
    return Issuer(builder.sign(signing_key, hashes.SHA256()), key)


def make_crl(
    issuer: Issuer,
    *revoked: Issuer,
    this_update: datetime = NOW - DAY,
    next_update: datetime = NOW + 30 * DAY,
    numbered: bool = True,
    critical: bool = False,
    issuer_name: x509.Name | None = None,
) -> bytes:
    """Make a revocation list in DER."""
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer_name or issuer.certificate.subject)
        .last_update(this_update)
        .next_update(next_update)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key()),
            critical=False,
        )
    )
    if numbered:
        builder = builder.add_extension(x509.CRLNumber(1), critical=False)
    if critical:
        value = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\5\0")
        builder = builder.add_extension(value, critical=True)
    for one in revoked:
        builder = builder.add_revoked_certificate(
            x509.RevokedCertificateBuilder()
            .serial_number(one.certificate.serial_number)
            .revocation_date(NOW - 2 * DAY)
            .build()
        )
    return builder.sign(issuer.key, hashes.SHA256()).public_bytes(Encoding.DER)
