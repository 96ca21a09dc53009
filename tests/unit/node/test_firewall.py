# SPDX-License-Identifier: MIT
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildernet.base.errors import ConfigError
from buildernet.node.errors import PortListError
from buildernet.node.firewall import VARIANTS, Port, PortList, read_ports, ruleset

_SHIPPED = Path(__file__).parents[3] / "services/config/ports.toml"


def _port(**changes) -> Port:
    fields = {
        "name": "web",
        "port": 80,
        "protocol": "tcp",
        "service": "web",
        "purpose": "serves",
        "images": ("production",),
    }
    return Port(**{**fields, **changes})


def _open(text: str) -> set[tuple[str, int]]:
    found = re.findall(r"^\t\t(tcp|udp) dport (\d+) accept", text, re.MULTILINE)
    return {(protocol, int(port)) for protocol, port in found}


def test_the_shipped_list_opens_what_it_says_and_no_more():
    ports = read_ports(_SHIPPED)
    production = {("tcp", port) for port in (80, 443, 3535, 5544, 7936)}
    assert _open(ruleset(ports, variant="production")) == production
    development = production | {("tcp", 9100), ("tcp", 40192)}
    assert _open(ruleset(ports, variant="development")) == development


@pytest.mark.parametrize("variant", VARIANTS)
def test_everything_else_is_dropped(variant):
    text = ruleset(PortList(()), variant=variant)
    assert "hook input priority filter; policy drop;" in text
    assert "hook forward priority filter; policy drop;" in text
    assert _open(text) == set()
    assert text.count("{") == text.count("}")


def test_the_order_of_the_list_does_not_matter():
    ports = [_port(), _port(name="dns", port=53, protocol="udp"), _port(name="ssh", port=22)]
    texts = {
        ruleset(PortList(tuple(order)), variant="production") for order in (ports, ports[::-1])
    }
    assert len(texts) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"port": 0},
        {"port": 65536},
        {"protocol": "sctp"},
        {"name": "Web"},
        {"name": 'x" accept'},
        {"service": ""},
        {"purpose": 'a"; accept; #'},
        {"purpose": "two\nlines"},
        {"purpose": "x" * 81},
        {"images": ()},
        {"images": ("staging",)},
    ],
)
def test_a_wrong_port_is_refused(changes):
    with pytest.raises(PortListError):
        _port(**changes)


def test_a_port_listed_twice_is_refused():
    with pytest.raises(PortListError, match="80/tcp is listed for web and other"):
        PortList((_port(), _port(name="other")))
    PortList((_port(), _port(name="other", protocol="udp")))


@given(st.text(), st.text())
def test_no_text_can_add_a_rule(name, purpose):
    try:
        text = ruleset(PortList((_port(name=name, purpose=purpose),)), variant="production")
    except PortListError:
        return
    plain = ruleset(PortList((_port(),)), variant="production")
    assert len(text.splitlines()) == len(plain.splitlines())
    assert text.count('"') == plain.count('"')
    comments = re.findall(r'comment "([^"]*)"', text)
    assert all(len(comment) <= 128 for comment in comments)


@given(st.binary(max_size=100))
def test_a_damaged_list_is_our_error(tmp_path_factory, damage):
    raw = bytearray(_SHIPPED.read_bytes())
    at = len(damage) * 37 % len(raw)
    raw[at : at + len(damage)] = damage
    path = tmp_path_factory.mktemp("ports") / "ports.toml"
    path.write_bytes(raw)
    try:
        read_ports(path)
    except ConfigError:
        return
