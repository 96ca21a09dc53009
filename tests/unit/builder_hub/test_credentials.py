# SPDX-License-Identifier: MIT
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from buildernet.builder_hub.credentials import (
    Challenges,
    Credentials,
    parse_certificates,
    parse_credentials,
)
from buildernet.builder_hub.errors import BadRequestError, UnprovedError
from buildernet.builder_hub.evidence import parse_attestation_request
from buildernet.net.errors import RequestError
from tests.support.hub_nodes import SimulatedNode
from tests.support.minted_pki import MINTED_AT

NODE = SimulatedNode()
CHALLENGES = Challenges(b"k" * 32, lambda: float(MINTED_AT))
REQUEST = NODE.attestation_request()


def parse(document: dict[str, Any], signature: str | None = None) -> Credentials:
    return parse_credentials(
        document,
        json.dumps(document).encode(),
        builder="alpha",
        service="instance",
        signature=signature,
        challenges=CHALLENGES,
        now=MINTED_AT,
    )


def proved() -> dict[str, Any]:
    challenge, _ = CHALLENGES.new("alpha", "instance")
    return NODE.prove_certificate(f"0x{challenge.hex()}")


def test_proved_certificate_is_known_as_proved() -> None:
    assert parse(proved()).is_proved
    assert not parse({"tls_cert": NODE.pem}).is_proved


@pytest.mark.parametrize(("builder", "service"), [("beta", "instance"), ("alpha", "rbuilder")])
def test_challenge_is_for_one_builder_and_service(builder: str, service: str) -> None:
    challenge, expires_at = CHALLENGES.new(builder, service)
    assert expires_at == MINTED_AT + 300
    CHALLENGES.require(challenge, builder=builder, service=service)
    with pytest.raises(UnprovedError):
        CHALLENGES.require(challenge, builder="alpha", service="instance")


@given(st.integers(0, 40 * 8 - 1))
def test_any_flipped_bit_of_a_challenge_is_noticed(bit: int) -> None:
    challenge = bytearray(CHALLENGES.new("a", "b")[0])
    challenge[bit // 8] ^= 1 << bit % 8
    with pytest.raises(UnprovedError):
        CHALLENGES.require(bytes(challenge), builder="a", service="b")


def test_chain_is_taken_leaf_first_and_nothing_else() -> None:
    other = SimulatedNode()
    assert parse_certificates(NODE.pem + other.pem)[0] == NODE.certificate
    for text in (
        "",
        NODE.pem * 9,
        NODE.pem + "-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n",
        "x" * 70_000,
        "# of alpha\n" + NODE.pem,
        NODE.pem + "<script>alert(1)</script>",
        NODE.pem + "\0",
        NODE.pem + "\0" + other.pem,
        NODE.pem + "text between\n" + other.pem,
        NODE.pem.replace("\n", "\n\0\n", 1),
        NODE.pem + "\ud800",
        NODE.pem.replace("CERTIFICATE", "TRUSTED CERTIFICATE"),
    ):
        with pytest.raises(BadRequestError, match="tls_cert"):
            parse_certificates(text)


@settings(max_examples=40)
@given(st.integers(0, len(NODE.pem) - 30))
def test_truncated_certificate_is_refused(size: int) -> None:
    with pytest.raises(BadRequestError):
        parse_certificates(NODE.pem[:size])


_VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.text(max_size=20),
    st.lists(st.integers(), max_size=2),
    st.binary(max_size=50).map(lambda data: f"0x{data.hex()}"),
    st.just(NODE.pem),
)


@settings(max_examples=100)
@given(
    st.dictionaries(
        st.sampled_from(
            ["tls_cert", "ecdsa_pubkey_address", "region", "challenge", "tls_cert_signature"]
        ),
        _VALUES,
    ),
    st.none() | st.text(max_size=10),
)
def test_any_registration_is_read_or_refused(document: dict[str, Any], signature: Any) -> None:
    try:
        assert not parse(document, signature).is_proved
    except RequestError:
        return


@settings(max_examples=100)
@given(st.dictionaries(st.sampled_from(sorted(REQUEST)), _VALUES, min_size=1))
def test_any_attestation_request_is_read_or_refused(changes: dict[str, Any]) -> None:
    try:
        parse_attestation_request({**REQUEST, **changes}, now=MINTED_AT)
    except BadRequestError:
        return
