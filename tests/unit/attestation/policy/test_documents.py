# SPDX-License-Identifier: MIT
"""Every published form of measurements; nothing that would accept anything."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildernet.attestation.errors import PolicyError
from buildernet.attestation.policy import Platform, parse_measurement_policy
from buildernet.attestation.policy.documents import MAX_CHOICES, MAX_POLICY_BYTES, MAX_RECORDS
from buildernet.attestation.registers import PCRS, Register
from tests.support.shared_data import shared_file

A, B = "aa" * 48, "bb" * 48
PCR = "cc" * 32


def record(measurements: Any, kind: Any = "dcap-tdx", **more: Any) -> dict[str, Any]:
    return {
        "measurement_id": "image",
        "attestation_type": kind,
        "measurements": measurements,
        **more,
    }


def parse(document: Any, **options: Any) -> Any:
    return parse_measurement_policy(json.dumps(document).encode(), **options)


@pytest.mark.parametrize(
    ("document", "platform", "expected"),
    [
        ([record({"0": {"expected": A}})], "dcap-tdx", {"mrtd": [A]}),
        ([record({"4": {"expected_any": [A, B]}})], "dcap-tdx", {"rtmr3": [A, B]}),
        ([record({"rtmr1": {"expected": A}, "mrtd": B})], "dcap-tdx", {"rtmr1": [A], "mrtd": [B]}),
        (record({"1": A}, "qemu-tdx"), "dcap-tdx", {"rtmr0": [A]}),
        ([record({"2": A}, "gcp-tdx")], "dcap-tdx", {"rtmr1": [A]}),
        ([record({"4": PCR, "pcr11": PCR}, "azure-tdx")], "azure-tdx",
         {"pcr4": [PCR], "pcr11": [PCR]}),
        ({"image": {"9": {"expected": PCR}}}, "azure-tdx", {"pcr9": [PCR]}),
    ],
)  # fmt: skip
def test_published_forms(document: Any, platform: str, expected: dict[str, list[str]]) -> None:
    (parsed,) = parse(document).records
    assert parsed.platform == platform
    assert {k: [v.hex() for v in values] for k, values in parsed.expected.items()} == expected


def events(**changes: Any) -> dict[str, Any]:
    registers: dict[str, Any] = {name: {"sha384": [A, B]} for name in ("mrtd", "rtmr1", "rtmr2")}
    registers |= {f"pcr{n}": {"sha256": [PCR], "sha384": [A]} for n in (2, 4, 9, 11)}
    return {"schema": "buildernet-events/1", "boot": "gpt", "registers": registers, **changes}


def test_events_document_names_what_the_image_decides() -> None:
    dcap, azure = parse(events()).records
    assert (dcap.platform, tuple(dcap.expected)) == (
        Platform.DCAP_TDX,
        (Register.MRTD, Register.RTMR1, Register.RTMR2),
    )
    assert (azure.platform, tuple(azure.expected)) == (
        Platform.AZURE_TDX,
        (PCRS[4], PCRS[9], PCRS[11]),
    )


def test_events_document_of_a_direct_boot_is_not_for_azure() -> None:
    (only,) = parse(events(boot="direct")).records
    assert only.platform is Platform.DCAP_TDX


def test_events_document_without_registers_accepts_nothing() -> None:
    with pytest.raises(PolicyError, match="no record"):
        parse(events(registers={}))


@pytest.mark.parametrize(
    "document",
    [
        [],
        {},
        "text",
        3,
        None,
        [record({})],
        [{"attestation_type": "dcap-tdx"}],
        [record({"0": A}), record({})],
        [record({"0": A}, "none")],
        [record({"0": A}, "aws-nitro")],
        [record({"0": A}, ["dcap-tdx"])],
        [record({"5": A})],
        [record({"pcr4": A})],
        [record({"0": A, "mrtd": A})],
        [record({"0": PCR})],
        [record({"0": "zz" * 48})],
        [record({"0": {"expected": A, "expected_any": [A]}})],
        [record({"0": {"expected": A, "warnOnly": True}})],
        [record({"0": {}})],
        [record({"0": {"expected_any": []}})],
        [record({"0": {"expected_any": [A] * (MAX_CHOICES + 1)}})],
        [record({"0": {"expected_any": A}})],
        [record({"0": 1})],
        [record([A])],
        [record({"0": A}, dcap_image_hashes={})],
        [record({"0": A}) | {"measurement_id": 3}],
        [record({"0": A})] * (MAX_RECORDS + 1),
    ],
)
def test_what_is_no_policy_is_refused(document: Any) -> None:
    with pytest.raises(PolicyError):
        parse(document)


@pytest.mark.parametrize(
    "data",
    [b"", b"[", b"\xff", b"[" * 100_000, b" " * (MAX_POLICY_BYTES + 1), b'{"a":{},"a":{}}'],
)
def test_what_is_no_json_is_refused(data: bytes) -> None:
    with pytest.raises(PolicyError):
        parse_measurement_policy(data)


def test_accepting_anything_needs_the_ugly_option() -> None:
    policy = parse([{"attestation_type": "dcap-tdx"}], unsafe_accept_anything=True)
    assert policy.match(Platform.DCAP_TDX, {}).compared == ()


@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from([A, PCR]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["0", "mrtd", "expected", "expected_any", "measurements",
                         "attestation_type", "schema", "registers"]), inner, max_size=4),
    max_leaves=12,
))  # fmt: skip
def test_any_json_parses_or_is_refused(document: Any) -> None:
    try:
        policy = parse(document)
    except PolicyError:
        return
    assert all(one.expected for one in policy.records)


@pytest.mark.parametrize(
    ("name", "count"), [("buildernet_measurements.json", 23), ("measurements.json", 3)]
)
def test_published_lists_are_read(name: str, count: int) -> None:
    data = shared_file(f"attestation/flashbots-attested-tls/{name}").read_bytes()
    assert len(parse_measurement_policy(data).records) == count


def test_published_list_that_accepts_anything_is_refused() -> None:
    data = shared_file("attestation/flashbots-attested-tls/measurements_2.json").read_bytes()
    with pytest.raises(PolicyError, match="accept anything"):
        parse_measurement_policy(data)
