# SPDX-License-Identifier: MIT
"""Collateral files: three forms read to the same bytes, everything else refused."""

import contextlib
import json
from dataclasses import fields
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from buildernet.attestation.collateral import Collateral, encode_bundle, parse_collateral
from buildernet.attestation.collateral.documents import MAX_FILE_BYTES, MAX_PLATFORMS
from buildernet.attestation.errors import CollateralError
from tests.support.minted_chain import mint_chain, shared_chain
from tests.support.shared_data import shared_file

COLLATERAL = shared_chain().collateral()
BUNDLE = encode_bundle([COLLATERAL])
ENTRY: dict[str, Any] = json.loads(BUNDLE)["collaterals"][0]


def as_yaml(entry: dict[str, str]) -> str:
    blocks = []
    for name, value in entry.items():
        lines = "".join(f"  {line}\n" for line in value.splitlines())
        blocks.append(f"{name}: |-\n{lines}\n")
    return "".join(blocks)


def stripped(collateral: Collateral) -> tuple[bytes | None, ...]:
    values = [getattr(collateral, field.name) for field in fields(Collateral)]
    return tuple(value and value.strip() for value in values)


def test_bundle_is_read_back() -> None:
    other = mint_chain().collateral(pck_certificate_chain=b"chain")
    assert parse_collateral(encode_bundle([COLLATERAL, other]).encode()) == (COLLATERAL, other)


def test_json_of_dcap_qvl_is_read() -> None:
    document = ENTRY | {"pck_certificate_chain": None}
    assert parse_collateral(json.dumps(document).encode()) == (COLLATERAL,)


@pytest.mark.parametrize("style", ["|-", "|", ">-"])
def test_yaml_is_read(style: str) -> None:
    text = as_yaml(ENTRY)
    if style == ">-":
        text = text.replace("root_ca_crl: |-", "root_ca_crl: >-")
    else:
        text = text.replace("|-", style)
    (parsed,) = parse_collateral(text.encode())
    assert stripped(parsed) == stripped(COLLATERAL)


def test_yaml_with_quoted_text_is_read() -> None:
    text = "".join(f"{name}: {json.dumps(value)}\n" for name, value in ENTRY.items())
    assert parse_collateral(f"# comment\n{text}".encode()) == (COLLATERAL,)


@pytest.mark.parametrize(
    "name",
    [
        "azure-collateral.yaml", "azure-collateral02.yaml", "dcap-quote-collateral-00.yaml",
        "mock-dcap-collateral.yaml",
    ],
)  # fmt: skip
def test_recorded_yaml_is_read(name: str) -> None:
    data = shared_file(f"attestation/flashbots-attested-tls/{name}").read_bytes()
    (parsed,) = parse_collateral(data)
    document = yaml.safe_load(data)
    assert parsed.tcb_info == document["tcb_info"].strip().encode()
    assert parsed.pck_crl.hex() == document["pck_crl"].strip()
    assert parsed.tcb_info_issuer_chain == document["tcb_info_issuer_chain"].strip().encode()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        b"\xff\xfe",
        b"{" * 50_000,
        b" " * (MAX_FILE_BYTES + 1),
        b"a: |\n  x\na: |\n  y\n",
        b"- list",
        b"a: plain",
        b"a: 3",
        json.dumps(ENTRY | {"root_ca_crl": "zz"}).encode(),
        json.dumps(ENTRY | {"tcb_info": 3}).encode(),
        json.dumps(ENTRY | {"more": "x"}).encode(),
        json.dumps({k: v for k, v in ENTRY.items() if k != "pck_crl"}).encode(),
        json.dumps(ENTRY | {"pck_crl": None}).encode(),
        json.dumps({"schema": "buildernet-collateral/1"}).encode(),
        json.dumps({"schema": "buildernet-collateral/1", "collaterals": []}).encode(),
        json.dumps({"schema": "buildernet-collateral/1", "collaterals": [3]}).encode(),
        json.dumps(
            {"schema": "buildernet-collateral/1", "collaterals": [ENTRY] * (MAX_PLATFORMS + 1)}
        ).encode(),
    ],
)
def test_what_is_no_collateral_is_refused(data: bytes) -> None:
    with pytest.raises(CollateralError):
        parse_collateral(data)


@given(data=st.data())
def test_damage_raises_nothing_else(data: Any) -> None:
    text = data.draw(st.sampled_from([BUNDLE, as_yaml(ENTRY)])).encode()
    position = data.draw(st.integers(0, len(text) - 1))
    noise = data.draw(st.binary(max_size=4))
    with contextlib.suppress(CollateralError):
        parse_collateral(text[:position] + noise + text[position + 1 :])
    with contextlib.suppress(CollateralError):
        parse_collateral(text[:position])
