# SPDX-License-Identifier: MIT
import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from buildernet.ethereum.address import Address
from buildernet.orderflow_proxy.peer import (
    MAX_LIST_BYTES,
    MAX_PEERS,
    RESERVED_NAMES,
    PeerList,
    PeerListError,
    parse_peers,
)
from tests.support.orderflow_nodes import make_certificate

PEM = make_certificate().pem
ADDRESS = "0x" + "ab" * 20


def parse(*entries: Any, **options: Any) -> PeerList:
    return parse_peers(json.dumps(list(entries)).encode(), **options)


def test_three_generations_and_evidence_are_understood() -> None:
    listed = parse(
        {"name": "gen1", "ip": "1.2.3.4",
         "orderflow_proxy": {"tls_cert": PEM, "ecdsa_pubkey_address": ADDRESS}},
        {"name": "gen2", "ip": "1.2.3.4", "dns_name": "a.example", "instance": {"tls_cert": PEM}},
        {"name": "gen3", "ip": "", "dns_name": "b.example:99", "orderflow_proxy": None},
        {"name": "ours", "ip_address": "::1", "dns_name": "", "tls_certificate": PEM,
         "ecdsa_pubkey_address": ADDRESS.upper().replace("0X", "0x"), "tee_attestation": "0x00"},
    )  # fmt: skip
    assert listed.refused == ()
    gen1, gen2, gen3, ours = listed.peers
    assert (gen1.host, gen1.port, gen1.address) == ("1.2.3.4", 5544, Address(b"\xab" * 20))
    assert (gen2.host, gen2.port, gen2.address) == ("a.example", 5544, None)
    assert (gen3.host, gen3.port, gen3.can_receive) == ("b.example", 99, False)
    assert (ours.host, ours.address) == ("::1", Address(b"\xab" * 20))
    assert [peer.can_receive for peer in (gen1, gen2, ours)] == [True] * 3
    assert ours.evidence is not None
    assert ours.evidence["tee_attestation"] == "0x00"
    assert gen1.evidence is None


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("1.2.3.4:99", ("1.2.3.4", 99)),
        ("::1", ("::1", 5544)),
        ("[::1]", ("::1", 5544)),
        ("[::1]:99", ("::1", 99)),
        ("2001:db8:0::1", ("2001:db8::1", 5544)),
        ("a-b.example", ("a-b.example", 5544)),
        ("a" * 63 + "._b.c:9", ("a" * 63 + "._b.c", 9)),
    ],
)
def test_places(place: str, expected: tuple[str, int]) -> None:
    (peer,) = parse({"name": "a", "ip": place}).peers
    assert (peer.host, peer.port) == expected


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ("text", "no JSON object|not a JSON object"),
        ({}, "name"),
        ({"name": "a b"}, "name"),
        ({"name": "x" * 129}, "name"),
        ({"name": 'a"b\n'}, "name"),
        *(
            ({"name": name, "ip": "h"}, "no name for a node")
            for name in ("Flashbots", *RESERVED_NAMES)
        ),
        ({"name": "a"}, "no host name"),
        ({"name": "a", "ip": 7}, "ip is no text"),
        ({"name": "a", "ip": "1.2.3.4:0"}, "no host name"),
        ({"name": "a", "ip": "1.2.3.4:70000"}, "no host name"),
        ({"name": "a", "ip": "a/b"}, "no host name"),
        ({"name": "a", "ip": "a..b"}, "no host name"),
        ({"name": "a", "ip": "a" * 64 + ".example"}, "no host name"),
        ({"name": "a", "ip": "-a.example"}, "no host name"),
        ({"name": "a", "ip": "a.example."}, "no host name"),
        ({"name": "a", "ip": "a." * 127 + "a"}, "no host name"),
        ({"name": "a", "ip": "a\r\nX: y"}, "no host name"),
        ({"name": "a", "ip": "[x]:1"}, "no address"),
        ({"name": "a", "ip": "1:2:3"}, "no host name"),
        ({"name": "a", "ip": "h", "instance": "x"}, "instance is no JSON object"),
        ({"name": "a", "ip": "h", "instance": {"tls_cert": 1}}, "tls_cert is no text"),
        ({"name": "a", "ip": "h", "instance": {"tls_cert": "x"}}, "no PEM"),
        ({"name": "a", "ip": "h", "instance": {"tls_cert": PEM * 200}}, "more than"),
        ({"name": "a", "ip": "h", "orderflow_proxy": {"ecdsa_pubkey_address": "0x1"}}, "address"),
        ({"name": "good", "ip": "h"}, "twice"),
        ({"name": "a", "ip": "h", "plain_http": True}, "plain HTTP"),
    ],
)
def test_a_broken_entry_is_named_and_spoils_nothing(entry: Any, reason: str) -> None:
    listed = parse({"name": "good", "ip": "h"}, entry, {"name": "last", "ip": "h"})
    assert [peer.name for peer in listed.peers] == ["good", "last"]
    (line,) = listed.refused
    assert line.startswith("entry 1: ")
    assert re.search(reason, line)
    assert "\n" not in line


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b'"x"', b"[", b'{"peer_list": {}}', b"[" * 100_000],
)  # fmt: skip
def test_what_is_no_list_is_refused(body: bytes) -> None:
    with pytest.raises(PeerListError):
        parse_peers(body)


def test_a_list_has_a_largest_size() -> None:
    with pytest.raises(PeerListError, match="more than"):
        parse_peers(b" " * (MAX_LIST_BYTES + 1))


def test_of_a_list_that_is_too_long_the_first_are_taken() -> None:
    listed = parse(*({"name": f"n{number}", "ip": "h"} for number in range(MAX_PEERS + 3)))
    assert [peer.name for peer in listed.peers] == [f"n{number}" for number in range(MAX_PEERS)]
    assert listed.refused == ("entries 256 to 258: over 256 are not taken",)


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20) | st.just(PEM),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["name", "ip", "dns_name", "instance", "orderflow_proxy", "tls_cert", "peer_list",
             "ecdsa_pubkey_address", "plain_http", "tee_attestation", "tls_certificate"]
        ),
        inner, max_size=4,
    ),
    max_leaves=20,
)  # fmt: skip


@given(_json)
@settings(max_examples=150)
def test_any_json_gives_a_list_or_our_error(value: Any) -> None:
    try:
        listed = parse_peers(json.dumps(value).encode(), allow_plain=True)
    except PeerListError:
        return
    for peer in listed.peers:
        assert peer.host
        assert 0 < peer.port < 65536
