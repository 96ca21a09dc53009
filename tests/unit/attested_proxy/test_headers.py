# SPDX-License-Identifier: MIT
"""Which headers go through."""

import json

import pytest
from multidict import CIMultiDict

from buildernet.attestation.registers import PCRS, Digest32, Digest48, Register
from buildernet.attested_proxy.evidence import Peer
from buildernet.attested_proxy.headers import (
    ATTESTATION_TYPE,
    MEASUREMENT,
    add_peer,
    add_sender,
    forwardable,
)


def test_hop_by_hop_and_what_connection_names_stay_here() -> None:
    headers = CIMultiDict(
        [
            ("Connection", "close, X-Private"),
            ("X-Private", "1"),
            ("TE", "trailers"),
            ("Transfer-Encoding", "chunked"),
            ("Upgrade", "websocket"),
            ("Proxy-Authorization", "x"),
            ("Set-Cookie", "a"),
            ("Set-Cookie", "b"),
        ]
    )
    assert list(forwardable(headers).items()) == [("Set-Cookie", "a"), ("Set-Cookie", "b")]


@pytest.mark.parametrize(
    "name",
    [
        "X-Flashbots-Measurement",
        "x-flashbots-MEASUREMENT",
        "X_Flashbots_Measurement",
        "X-Flashbots-Attestation-Type",
        "x-flashbots_attestation-type",
        "X-BuilderNet-Proxy-Secret",
        "x_buildernet_proxy_secret",
    ],
)
def test_nobody_else_says_what_is_measured(name: str) -> None:
    assert not forwardable(CIMultiDict([(name, "forged"), (name, "again")]))


def test_connection_cannot_remove_what_the_proxy_sets() -> None:
    headers = forwardable(CIMultiDict([("Connection", MEASUREMENT)]))
    add_peer(headers, Peer("qemu-tdx", {Register.MRTD: Digest48(bytes(48))}))
    assert headers[MEASUREMENT] == json.dumps({"0": "00" * 48}, separators=(",", ":"))


def test_registers_are_numbered_in_order() -> None:
    headers: CIMultiDict[str] = CIMultiDict()
    registers = {PCRS[11]: Digest32(b"b" * 32), PCRS[4]: Digest32(b"a" * 32)}
    add_peer(headers, Peer("azure-tdx", registers))
    assert headers[ATTESTATION_TYPE] == "azure-tdx"
    assert headers[MEASUREMENT] == '{"4":"' + "61" * 32 + '","11":"' + "62" * 32 + '"}'


def test_unattested_peer_gets_no_header() -> None:
    headers: CIMultiDict[str] = CIMultiDict()
    add_peer(headers, Peer())
    assert not headers


def test_sender_is_the_last_address() -> None:
    headers = CIMultiDict([("X-Forwarded-For", "1.1.1.1"), ("X-Forwarded-For", "2.2.2.2")])
    add_sender(headers, "3.3.3.3")
    assert headers.getall("X-Forwarded-For") == ["1.1.1.1, 2.2.2.2, 3.3.3.3"]
    assert headers["X-Real-IP"] == "3.3.3.3"
