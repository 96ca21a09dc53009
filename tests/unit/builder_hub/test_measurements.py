# SPDX-License-Identifier: MIT
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildernet.builder_hub.errors import BadRequestError, InstanceRefusedError
from buildernet.builder_hub.measurements import (
    match_claim,
    parse_claim,
    parse_posted,
    parse_stored,
    stored_document,
)
from tests.support.builder_hub import MEASUREMENT, REGISTERS, RTMR1

POSTED = json.dumps(MEASUREMENT).encode()


def test_posted_measurement_comes_back_in_the_published_shape() -> None:
    (measurement,) = parse_posted(POSTED, unsafe=False)
    assert measurement.render() == MEASUREMENT
    document = stored_document(measurement)
    assert parse_stored(0, "image-1", "dcap-tdx", document) == measurement


@pytest.mark.parametrize(
    "registers",
    [
        {"rtmr1": RTMR1.upper()},
        {"2": RTMR1},
        {"rtmr1": {"expected": RTMR1}},
        {"2": {"expected_any": [RTMR1]}},
    ],
)
def test_every_form_becomes_one(registers: dict[str, object]) -> None:
    posted = {**MEASUREMENT, "measurements": registers}
    (measurement,) = parse_posted(json.dumps(posted).encode(), unsafe=False)
    assert measurement.expected == {"2": (RTMR1,)}


def test_first_fitting_measurement_counts() -> None:
    names = ("none", "first", "second")
    values = ("33" * 48, RTMR1, RTMR1)
    listed = [
        {"measurement_id": n, "attestation_type": "gcp-tdx", "measurements": {"2": v}}
        for n, v in zip(names, values, strict=True)
    ]
    measurements = parse_posted(json.dumps(listed).encode(), unsafe=False)
    claim = parse_claim("qemu-tdx", json.dumps({**REGISTERS, "99": "x", "y": "z"}))
    assert match_claim(measurements, claim, unsafe=False).name == "first"


@pytest.mark.parametrize("registers", [{}, {"0": REGISTERS["0"]}, {**REGISTERS, "2": "00" * 48}])
def test_missing_or_other_register_does_not_fit(registers: dict[str, str]) -> None:
    measurements = parse_posted(POSTED, unsafe=False)
    claim = parse_claim("dcap-tdx", json.dumps(registers))
    with pytest.raises(InstanceRefusedError, match="no active measurement fits"):
        match_claim(measurements, claim, unsafe=False)


@pytest.mark.parametrize(
    "number", ["000099", "0000", "02", "5", "24", "\u00b2", "-1", "1" * 40, ""]
)
def test_register_of_no_known_number_fits_nothing(number: str) -> None:
    posted = {**MEASUREMENT, "measurements": {"2": RTMR1}}
    measurements = parse_posted(json.dumps(posted).encode(), unsafe=False)
    claim = parse_claim("dcap-tdx", json.dumps({number: RTMR1}))
    with pytest.raises(InstanceRefusedError, match="no active measurement fits"):
        match_claim(measurements, claim, unsafe=False)
    beside = parse_claim("dcap-tdx", json.dumps({**REGISTERS, number: RTMR1}))
    assert match_claim(measurements, beside, unsafe=False).name == "image-1"


def test_nothing_fits_no_measurement() -> None:
    claim = parse_claim("dcap-tdx", json.dumps(REGISTERS))
    with pytest.raises(InstanceRefusedError):
        match_claim([], claim, unsafe=True)


def test_unattested_type_is_compared_as_text_and_only_when_allowed() -> None:
    posted = {
        "measurement_id": "t",
        "attestation_type": "test",
        "measurements": {"a": {"expected_any": ["X", "Y"]}, "b": "Z"},
    }
    measurements = parse_posted(json.dumps(posted).encode(), unsafe=True)
    claim = parse_claim("test", '{"a": "Y", "b": "Z"}')
    assert match_claim(measurements, claim, unsafe=True).name == "t"
    with pytest.raises(InstanceRefusedError, match="no hardware"):
        match_claim(measurements, claim, unsafe=False)
    with pytest.raises(InstanceRefusedError):
        match_claim(measurements, parse_claim("test", '{"a": "y", "b": "Z"}'), unsafe=True)


def test_stored_measurement_without_registers_fits_only_when_allowed() -> None:
    everything = [parse_stored(1, "any", "dcap-tdx", "{}")]
    claim = parse_claim("dcap-tdx", json.dumps(REGISTERS))
    assert match_claim(everything, claim, unsafe=True).name == "any"
    with pytest.raises(InstanceRefusedError):
        match_claim(everything, claim, unsafe=False)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["measurement_id", "attestation_type", "measurements", "0", "schema"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)


@given(_JSON, st.booleans())
def test_any_json_is_read_or_refused(document: object, unsafe: bool) -> None:
    try:
        parse_posted(json.dumps(document).encode(), unsafe=unsafe)
    except BadRequestError:
        return


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with pytest.raises(BadRequestError):
        parse_posted(data, unsafe=False)


@given(st.integers(0, len(POSTED) - 1))
def test_any_truncation_is_refused(size: int) -> None:
    with pytest.raises(BadRequestError):
        parse_posted(POSTED[:size], unsafe=True)


@given(st.text(max_size=10), st.text(max_size=60) | _JSON.map(json.dumps))
def test_any_header_is_matched_or_refused(kind: str, header: str) -> None:
    measurements = parse_posted(POSTED, unsafe=False)
    with pytest.raises(InstanceRefusedError):
        match_claim(measurements, parse_claim(kind or "dcap-tdx", header), unsafe=False)


def test_platforms_of_one_image_get_names_of_their_own() -> None:
    """As a published list has them, under one name."""
    azure = {
        "measurement_id": "image-1",
        "attestation_type": "azure-tdx",
        "measurements": {"4": {"expected": "aa" * 32}},
    }
    posted = parse_posted(json.dumps([MEASUREMENT, azure]).encode(), unsafe=False)
    assert [one.name for one in posted] == ["image-1:dcap-tdx", "image-1:azure-tdx"]
