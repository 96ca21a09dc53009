# SPDX-License-Identifier: MIT
import pickle
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from buildernet.ethereum.address import Address
from buildernet.ethereum.errors import MissingSignatureError, SignatureError, SigningKeyError
from buildernet.ethereum.keccak import compute_keccak256
from buildernet.ethereum.signature import (
    HALF_ORDER,
    SigningKey,
    compute_body_digest,
    find_signature,
    sign_body,
    verify_body,
)

SECRET = "0xfad9c8855b740a0b7ed4c221dbad0f33a83a49cad6b3fe8d5817ac83d38b6a19"
ADDRESS = "0x96216849c49358B10257cb55b28eA603c874b05E"
BODY = b"Hello"
HEADER = (
    f"{ADDRESS}:0x1446053488f02d460c012c84c4091cd5054d98c6cfca01b65f6c1a72773e80e6"
    "0b8a4931aeee7ed18ce3adb45b2107e8c59e25556c1f871a8334e30e5bddbed21c"
)
ORDER = 2 * HALF_ORDER + 1


def with_signature(change) -> str:
    """Return the vector's header with its r, s and v replaced."""
    raw = bytes.fromhex(HEADER[45:])
    r, s, v = change(int.from_bytes(raw[:32]), int.from_bytes(raw[32:64]), raw[64])
    return f"{ADDRESS}:0x{r:064x}{s:064x}{v:02x}"


def test_body_of_the_vector_has_its_hash():
    assert compute_keccak256(BODY).hex() == (
        "06b3dfaec148fb1bb2b066f10ec285e7c9bf402ab32aa78a5d38e34566810cd2"
    )


def test_signature_of_the_vector_is_made_and_verified():
    assert sign_body(SigningKey.parse(SECRET), BODY) == HEADER
    assert verify_body(HEADER, BODY) == Address.parse(ADDRESS)


@pytest.mark.parametrize(
    ("secret", "address"),
    [
        (
            "fb5ad18432422a84514f71d63b45edf51165d33bef9c2bd60957a48d4c4cb68e",
            "0x9D278cCf695C2eab4B03bE1c62d1e10E442E14F1",
        ),
        (
            "d63b3c447fdea415a05e4c0b859474d14105a88178efdf350bc9f7b05be3cc58",
            "0x9349365494be4f6205e5d44bdc7ec7dcd134becf",
        ),
    ],
)
def test_published_keys_have_their_addresses(secret, address):
    assert SigningKey.parse(secret).address == Address.parse(address)


def test_address_in_the_header_may_have_any_case():
    assert verify_body(HEADER.lower(), BODY) == Address.parse(ADDRESS)


def test_v_may_count_from_zero():
    assert verify_body(with_signature(lambda r, s, v: (r, s, v - 27)), BODY)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r, s, v: (r, ORDER - s, 55 - v), "upper half"),
        (lambda r, s, v: (r, s, 55 - v), "not of"),
        (lambda r, s, _: (r, s, 29), "v is 29"),
        (lambda r, s, _: (r, s, 2), "v is 2"),
        (lambda _, s, v: (0, s, v), "no key"),
        (lambda r, _, v: (r, 0, v), "no key"),
        (lambda _, s, v: (ORDER, s, v), "no key"),
        (lambda _, s, v: (2**256 - 1, s, v), "no key"),
    ],
)
def test_other_signature_is_refused(change, message):
    with pytest.raises(SignatureError, match=message):
        verify_body(with_signature(change), BODY)


@pytest.mark.parametrize("header", [None, ""])
def test_missing_header_has_its_own_error(header):
    with pytest.raises(MissingSignatureError, match=r"^no signature provided$"):
        verify_body(header, BODY)


@pytest.mark.parametrize(
    "header",
    [
        ":",
        HEADER + "0",
        HEADER[:-1],
        HEADER.replace(":", ";"),
        " " + HEADER[:-1],
        HEADER[:43] + "  " + HEADER[45:],
        HEADER[:-1] + "g",
        "0y" + HEADER[2:],
        HEADER[:-2] + "\uff11\uff11",
    ],
)
def test_malformed_header_is_refused(header):
    with pytest.raises(SignatureError, match=r"^invalid signature provided: "):
        verify_body(header, BODY)


def test_empty_body_is_refused():
    key = SigningKey.parse(SECRET)
    with pytest.raises(SignatureError, match="body is empty"):
        verify_body(sign_body(key, b""), b"")


@settings(max_examples=50)
@given(body=st.binary(min_size=1, max_size=200), data=st.data())
def test_changed_body_or_header_is_refused(body, data):
    key = SigningKey.parse(SECRET)
    header = sign_body(key, body)
    assert verify_body(header, body) == key.address
    bit = data.draw(st.integers(0, 8 * len(body) - 1))
    changed = bytearray(body)
    changed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(SignatureError):
        verify_body(header, bytes(changed))
    place = data.draw(st.integers(0, len(header) - 1))
    other = header[:place] + chr(ord(header[place]) ^ 1) + header[place + 1 :]
    with pytest.raises(SignatureError):
        verify_body(other, body)


def test_digest_is_of_the_text_of_66_characters():
    text = "0x" + compute_keccak256(BODY).hex()
    assert len(text) == 66
    assert compute_body_digest(BODY) == compute_keccak256(
        b"\x19Ethereum Signed Message:\n66" + text.encode()
    )


def test_signing_key_never_shows_its_secret():
    key = SigningKey.parse(SECRET)
    assert repr(key) == f"SigningKey({ADDRESS})"
    assert SECRET[2:] not in f"{key!r} {key}"
    with pytest.raises(TypeError, match="does not leave"):
        pickle.dumps(key)


@pytest.mark.parametrize("text", ["", "0x", SECRET + "0", SECRET[:-1], "z" * 64])
def test_other_text_is_no_key_and_is_not_repeated(text):
    with pytest.raises(SigningKeyError, match="64 hexadecimal digits") as caught:
        SigningKey.parse(text)
    assert len(text) < 10 or text not in str(caught.value)


@pytest.mark.parametrize("number", [0, ORDER, 2**256 - 1])
def test_number_outside_the_curve_is_no_key(number):
    with pytest.raises(SigningKeyError, match="no secp256k1 secret key"):
        SigningKey.parse(f"{number:064x}")


def test_generated_keys_differ():
    assert SigningKey.generate().address != SigningKey.generate().address


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ({}, None),
        ({"X-Flashbots-Signature": "f"}, "f"),
        ({"X-Flashbots-Signature": "f", "X-BuilderNet-Signature": "b"}, "b"),
        ({"X-Flashbots-Signature": "f", "X-BuilderNet-Signature": ""}, ""),
    ],
)
def test_the_first_header_counts_even_if_it_is_empty(headers, found):
    assert find_signature(headers) == found


def test_key_is_loaded_from_a_private_file(tmp_path: Path):
    path = tmp_path / "key"
    path.write_text(SECRET + "\n")
    path.chmod(0o600)
    assert SigningKey.load(path).address == Address.parse(ADDRESS)
    path.chmod(0o640)
    with pytest.raises(SigningKeyError, match="open to others") as caught:
        SigningKey.load(path)
    assert caught.value.hint == f"chmod 0600 {path}"
    path.chmod(0o600)
    path.write_bytes(b"\xff" * 1000)
    with pytest.raises(SigningKeyError, match="larger"):
        SigningKey.load(path)
    with pytest.raises(SigningKeyError, match="No such file"):
        SigningKey.load(tmp_path / "none")
