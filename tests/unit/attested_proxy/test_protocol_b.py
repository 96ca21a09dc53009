# SPDX-License-Identifier: MIT
"""Frames, binding and ALPN of protocol B."""

from datetime import UTC, datetime
from hashlib import sha256

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from buildernet.attested_proxy.errors import DocumentError
from buildernet.attested_proxy.evidence import AttestationType
from buildernet.attested_proxy.protocol_b import (
    MAX_FRAME_BYTES,
    choose,
    encode_frame,
    parse_frame,
    report_input,
)

EVIDENCE_TYPES = [kind for kind in AttestationType if kind is not AttestationType.NONE]


def test_frame_of_none_is_as_the_reference_sends_it() -> None:
    frame = encode_frame(AttestationType.NONE, b"")
    assert frame == bytes.fromhex("00000006 10 6e6f6e65 00")
    assert parse_frame(frame[4:]) == (AttestationType.NONE, b"")


@given(st.sampled_from(EVIDENCE_TYPES), st.binary(max_size=20_000))
@settings(max_examples=30)
def test_frames_survive(kind: AttestationType, evidence: bytes) -> None:
    frame = encode_frame(kind, evidence)
    assert int.from_bytes(frame[:4]) == len(frame) - 4
    assert parse_frame(frame[4:]) == (kind, evidence)


@pytest.mark.parametrize("size", [0, 63, 64, 16383, 16384, 65000])
def test_every_width_of_length(size: int) -> None:
    frame = encode_frame(AttestationType.DCAP_TDX, bytes(size))
    assert parse_frame(frame[4:]) == (AttestationType.DCAP_TDX, bytes(size))


BODY = encode_frame(AttestationType.DCAP_TDX, bytes(range(100)))[4:]


@given(st.integers(0, len(BODY) - 1))
def test_truncations_are_refused(size: int) -> None:
    with pytest.raises(DocumentError):
        parse_frame(BODY[:size])


@given(st.binary(max_size=200))
@settings(max_examples=200)
def test_noise_raises_our_error_only(noise: bytes) -> None:
    try:
        kind, evidence = parse_frame(noise)
    except DocumentError:
        return
    assert encode_frame(kind, evidence)[4:] == noise


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (BODY + b"\0", "after its evidence"),
        (b"\x10nope\0", "unknown attestation type"),
        (b"\x10none\x04x", "holds 1 bytes"),
        (b"\x10\xff\xfe\xfd\xfc\0", "unknown attestation type"),
        (b"\x11\0none\0", "more bytes than needed"),
        (b"\x03\0\0\0\0none\0", "no length"),
        (b"\xfd\x03" + bytes(255), "at most"),
        (b"", "no length"),
    ],
)
def test_malformed_frames_are_refused(body: bytes, said: str) -> None:
    with pytest.raises(DocumentError, match=said):
        parse_frame(body)


def test_frames_over_the_limit_are_refused_on_both_sides() -> None:
    with pytest.raises(DocumentError, match="at most"):
        encode_frame(AttestationType.DCAP_TDX, bytes(MAX_FRAME_BYTES))
    with pytest.raises(DocumentError, match="at most"):
        parse_frame(bytes(MAX_FRAME_BYTES + 1))


def certificate_of(key: CertificateIssuerPrivateKeyTypes) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "x")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).serial_number(1)
    builder = builder.public_key(key.public_key()).not_valid_before(now).not_valid_after(now)
    return builder.sign(key, None if isinstance(key, ed25519.Ed25519PrivateKey) else SHA256())


@pytest.mark.parametrize(
    ("key", "form"),
    [
        (ec.generate_private_key(ec.SECP256R1()), (Encoding.X962, PublicFormat.UncompressedPoint)),
        (ed25519.Ed25519PrivateKey.generate(), (Encoding.Raw, PublicFormat.Raw)),
        (rsa.generate_private_key(65537, 2048), (Encoding.DER, PublicFormat.PKCS1)),
    ],
)
def test_report_input_hashes_the_bits_of_the_key(
    key: CertificateIssuerPrivateKeyTypes, form: tuple[Encoding, PublicFormat]
) -> None:
    bits = key.public_key().public_bytes(*form)
    assert report_input(certificate_of(key), b"e" * 32) == sha256(bits).digest() + b"e" * 32


def test_report_input_without_certificate_begins_with_zeros() -> None:
    assert report_input(None, b"e" * 32) == bytes(32) + b"e" * 32


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        ((b"flashbots-ratls/1",), b"flashbots-ratls/1"),
        (
            (b"flashbots-ratls/1+h2", b"flashbots-ratls/1+http/1.1", b"flashbots-ratls/1"),
            b"flashbots-ratls/1+h2",
        ),
        (
            (b"other", b"flashbots-ratls/1+http/1.1", b"flashbots-ratls/1+h2"),
            b"flashbots-ratls/1+http/1.1",
        ),
        ((b"h2", b"http/1.1"), None),
        ((), None),
    ],
)
def test_alpn_tells_the_protocol(offered: tuple[bytes, ...], chosen: bytes | None) -> None:
    assert choose(offered) == chosen
