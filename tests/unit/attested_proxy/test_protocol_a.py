# SPDX-License-Identifier: MIT
"""Nonces, binding and certificates of protocol A."""

import base64
import contextlib
import hashlib
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from buildernet.attested_proxy.errors import DocumentError, PeerCertificateError
from buildernet.attested_proxy.evidence import MAX_EVIDENCE_BYTES, AttestationType
from buildernet.attested_proxy.protocol_a import (
    Binding,
    build_certificate,
    encode_nonce,
    find_document,
    header_name,
    new_nonce,
    oid_of,
    parse_authorities,
    parse_server_name,
    verify_certificate,
)

KEY = ec.generate_private_key(ec.SECP256R1())
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
OID = oid_of(AttestationType.DCAP_TDX)


@given(st.binary(min_size=32, max_size=32))
def test_nonce_survives_the_server_name(nonce: bytes) -> None:
    text = encode_nonce(nonce)
    assert len(text) == 44
    assert parse_server_name(text.encode()) == nonce
    assert parse_authorities([[(b"CN", text.encode())]]) == nonce


@pytest.mark.parametrize("name", [None, b"node.example", b"localhost", b"", b"YWJj", b"\xff" * 44])
def test_ordinary_names_hold_no_nonce(name: bytes | None) -> None:
    assert parse_server_name(name) is None


@pytest.mark.parametrize(
    "names",
    [
        [],
        [[(b"O", b"x")]],
        [[(b"CN", b"not base64")]],
        [[(b"CN", base64.b64encode(bytes(31)))]],
        [[(b"CN", base64.b64encode(bytes(32)))]] * 2,
        [[(b"CN", base64.b64encode(bytes(32)))] * 2],
    ],
)
def test_authorities_without_one_nonce_are_refused(names: list[list[tuple[bytes, bytes]]]) -> None:
    with pytest.raises(DocumentError):
        parse_authorities(names)


def test_binding_follows_the_formula() -> None:
    nonce = new_nonce()
    spki = KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    binding = Binding.of(KEY.public_key(), nonce)
    assert binding.user_data == hashlib.sha256(spki).digest()
    expected = hashlib.sha256(hashlib.sha256(spki).digest() + nonce).digest()
    assert binding.extra_data == expected


def test_types_have_their_oids_and_header_names() -> None:
    assert OID.dotted_string == "1.3.9900.5.99"
    assert oid_of(AttestationType.AZURE_TDX).dotted_string == "1.3.9900.4.3"
    assert header_name(AttestationType.GCP_TDX) == "qemu-tdx"
    assert header_name(AttestationType.AZURE_TDX) == "azure-tdx"


def test_certificate_holds_the_document_raw() -> None:
    certificate = build_certificate(KEY, now=NOW, extension=(OID, b'{"RawQuote":""}'))
    certificate = x509.load_der_x509_certificate(certificate.public_bytes(Encoding.DER))
    assert verify_certificate([certificate], now=NOW) == KEY.public_key()
    assert find_document(certificate) == (AttestationType.DCAP_TDX, b'{"RawQuote":""}')
    assert certificate.subject.rfc4514_string() == "CN=Constellation"


def test_certificate_without_document() -> None:
    assert find_document(build_certificate(KEY, now=NOW)) is None


@pytest.mark.parametrize("off", [timedelta(hours=-2, seconds=-1), timedelta(hours=2, seconds=1)])
def test_certificate_outside_its_time_is_refused(off: timedelta) -> None:
    with pytest.raises(PeerCertificateError, match="not now"):
        verify_certificate([build_certificate(KEY, now=NOW)], now=NOW + off)


def test_chain_of_another_length_is_refused() -> None:
    certificate = build_certificate(KEY, now=NOW)
    for chain in ([], [certificate, certificate]):
        with pytest.raises(PeerCertificateError, match="expected 1"):
            verify_certificate(chain, now=NOW)


Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def signed_by(signer: Key, key: Key = KEY) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "x")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name)
    builder = builder.public_key(key.public_key()).serial_number(1)
    return builder.not_valid_before(NOW).not_valid_after(NOW).sign(signer, SHA256())


def test_certificate_signed_by_another_key_is_refused() -> None:
    other = ec.generate_private_key(ec.SECP256R1())
    with pytest.raises(PeerCertificateError, match="not signed by its own key"):
        verify_certificate([signed_by(other)], now=NOW)


def test_other_kinds_of_keys_are_refused() -> None:
    for key in (
        ec.generate_private_key(ec.SECP384R1()),
        rsa.generate_private_key(public_exponent=65537, key_size=2048),
    ):
        with pytest.raises(PeerCertificateError, match="no P-256 key"):
            verify_certificate([signed_by(key, key)], now=NOW)


def test_two_documents_are_refused() -> None:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "x")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name)
    builder = builder.public_key(KEY.public_key()).serial_number(1)
    builder = builder.not_valid_before(NOW).not_valid_after(NOW)
    for kind in (AttestationType.DCAP_TDX, AttestationType.AZURE_TDX):
        builder = builder.add_extension(
            x509.UnrecognizedExtension(oid_of(kind), b"{}"), critical=False
        )
    with pytest.raises(DocumentError, match="more than one"):
        find_document(builder.sign(KEY, SHA256()))


def test_large_document_is_refused() -> None:
    extension = (OID, bytes(MAX_EVIDENCE_BYTES + 1))
    with pytest.raises(DocumentError, match="at most"):
        find_document(build_certificate(KEY, now=NOW, extension=extension))


CERTIFICATE = build_certificate(
    KEY, now=datetime.now(UTC), extension=(OID, b'{"RawQuote":"AAAA","UserData":"AAAA"}')
).public_bytes(Encoding.DER)


def signed_part(certificate: x509.Certificate) -> tuple[bytes, bytes]:
    return certificate.tbs_certificate_bytes, certificate.signature


# cryptography warns of serial numbers below 1 before anything here can look at them.
@pytest.mark.filterwarnings("ignore:Parsed a serial number")
@given(st.integers(0, len(CERTIFICATE) * 8 - 1))
@settings(max_examples=200)
def test_damaged_certificate_raises_our_errors_only(bit: int) -> None:
    damaged = bytearray(CERTIFICATE)
    damaged[bit // 8] ^= 1 << bit % 8
    try:
        certificate = x509.load_der_x509_certificate(bytes(damaged))
    except (ValueError, x509.InvalidVersion):
        return  # net.tls turns both into TlsError
    with contextlib.suppress(DocumentError, PeerCertificateError):
        find_document(certificate)
    if signed_part(certificate) == signed_part(x509.load_der_x509_certificate(CERTIFICATE)):
        return  # how many bits of the signature's last byte count: the signature is the same
    with pytest.raises(PeerCertificateError):
        verify_certificate([certificate], now=datetime.now(UTC))
