# SPDX-License-Identifier: MIT
"""HCL reports: recorded ones, and every way of damaging them."""

from __future__ import annotations

import json
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildernet.attestation.azure import parse_hcl_report
from buildernet.attestation.azure.hcl import MAX_REPORT_BYTES
from buildernet.attestation.errors import AzureEvidenceFormatError
from buildernet.attestation.registers import Bank
from tests.support.shared_data import shared_file

CLAIMS_START = 1236
MODULUS = "x" * 342
CLAIMS: dict[str, Any] = {
    "keys": [
        {"kid": "HCLEkPub", "key_ops": ["encrypt"], "kty": "RSA", "e": "AQAB", "n": MODULUS},
        {
            "kid": "HCLAkPub",
            "key_ops": ["sign"],
            "kty": "RSA",
            "e": "AQAB",
            "n": MODULUS[:-1] + "3",
        },
    ],
    "vm-configuration": {"secure-boot": True, "vmUniqueId": "42"},
    "user-data": "17" * 64,
}


def make_report(claims: object = CLAIMS, *, raw: bytes | None = None) -> bytes:
    text = json.dumps(claims).encode() if raw is None else raw
    return b"".join(
        (
            struct.pack("<4sIIII12x", b"HCLA", 2, 1236 + len(text), 2, 0),
            bytes(1184),
            struct.pack("<IIIII", len(text) + 20, 1, 4, 1, len(text)),
            text,
            bytes(100),
        )
    )


@pytest.mark.parametrize(
    ("name", "vm_id", "secure_boot"),
    [
        ("azure-cvm-tooling/hcl-report-tdx.bin", "D270E56B-F668-4990-A5BC-9B624576841D", False),
        ("flashbots-attested-tls/hclreport.bin", "8C85CE00-A0EB-497B-87EF-CA9609E6C757", True),
        ("trustee/hcl-report.bin", "6332533D-5649-4D02-8AA7-8F64B7C3EE21", True),
    ],
)
def test_recorded_reports(name: str, vm_id: str, secure_boot: bool):
    report = parse_hcl_report(shared_file(f"attestation/{name}").read_bytes())
    assert (report.claims.vm_id, report.claims.secure_boot) == (vm_id, secure_boot)
    assert report.claims.attestation_key.key_size == 2048
    assert report.claims.user_data == bytes(64)
    digest = Bank.SHA256.digest(report.runtime_data)
    assert report.td_report[128:192] == digest + bytes(32)


def test_made_report_is_read():
    claims = parse_hcl_report(make_report()).claims
    assert claims.user_data == b"\x17" * 64
    assert claims.attestation_key.public_numbers().e == 65537


def changed(**members: object) -> dict[str, Any]:
    return {**CLAIMS, **members}


@pytest.mark.parametrize(
    ("claims", "match"),
    [
        (changed(keys=[]), "0 keys"),
        (changed(keys=[CLAIMS["keys"][1]] * 2), "2 keys"),
        (changed(keys=[CLAIMS["keys"][1]] * 9), "up to 8"),
        (changed(keys={}), "list of up to"),
        (changed(**{"user-data": "00" * 63}), "63 bytes"),
        (changed(**{"user-data": "zz" * 64}), "ValueError"),
        (changed(**{"vm-configuration": 3}), "TypeError"),
        ({}, "KeyError"),
        ([], "TypeError"),
        (changed(keys=[{**CLAIMS["keys"][1], "key_ops": ["encrypt"]}]), "not an RSA key"),
        (changed(keys=[{**CLAIMS["keys"][1], "kty": "EC"}]), "not an RSA key"),
        (changed(keys=[{**CLAIMS["keys"][1], "n": "xx"}]), "has 8 bits"),
        (changed(keys=[{**CLAIMS["keys"][1], "n": "x" * 800}]), "4800 bits"),
        (changed(keys=[{**CLAIMS["keys"][1], "n": "!" * 342}]), "HCLAkPub"),
        (changed(keys=[{**CLAIMS["keys"][1], "n": 7}]), "no string"),
        (changed(keys=[{**CLAIMS["keys"][1], "e": "Ag"}]), "ValueError"),
        (changed(keys=[{**CLAIMS["keys"][1], "e": "AQABAAAAAAAAAQ"}]), "exponent"),
    ],
)
def test_each_fault_of_the_claims_is_named(claims: object, match: str):
    with pytest.raises(AzureEvidenceFormatError, match=match):
        parse_hcl_report(make_report(claims))


@pytest.mark.parametrize(
    ("raw", "match"),
    [
        (b"{", "JSONDecodeError"),
        (b"\xff", "UnicodeDecodeError"),
        (b"[" * 5000, "5000 brackets"),
        (b'{"a":' * 65, "65 brackets"),
        (b"[" * 64, "JSONDecodeError"),
        (b'{"keys":[],"keys":[]}', "twice"),
    ],
)
def test_claims_that_are_no_json_are_refused(raw: bytes, match: str):
    with pytest.raises(AzureEvidenceFormatError, match=match):
        parse_hcl_report(make_report(raw=raw))


@pytest.mark.parametrize(
    ("offset", "value", "match"),
    [
        (0, b"X", "starts with"),
        (4, b"\3", "version 3"),
        (16, b"\1", "status 1"),
        (1216, b"\0", "announces"),
        (1224, b"\2", "type 2"),
        (1228, b"\4", "unknown hash 4"),
        (1233, b"\xff", "announces"),
        (-1, b"\1", "not padding"),
    ],
)
def test_each_damage_is_named(offset: int, value: bytes, match: str):
    report = bytearray(make_report())
    report[offset] = value[0]
    with pytest.raises(AzureEvidenceFormatError, match=match):
        parse_hcl_report(bytes(report))


@given(data=st.data())
def test_damage_raises_only_our_error(data: st.DataObject):
    report = bytearray(make_report())
    end = CLAIMS_START + struct.unpack_from("<I", report, 1232)[0]
    cut = data.draw(st.integers(0, end - 1))
    with pytest.raises(AzureEvidenceFormatError):
        parse_hcl_report(bytes(report[:cut]))
    with pytest.raises(AzureEvidenceFormatError, match="bytes, not"):
        parse_hcl_report(bytes(MAX_REPORT_BYTES + 1))
    report[data.draw(st.integers(CLAIMS_START, end - 1))] ^= data.draw(st.integers(1, 255))
    try:
        parse_hcl_report(bytes(report))
    except AzureEvidenceFormatError:
        return
