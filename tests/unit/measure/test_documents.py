# SPDX-License-Identifier: MIT
import contextlib
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildernet.attestation.registers import Digest48
from buildernet.measure.documents import (
    MAX_DOCUMENT_BYTES,
    encode_prediction,
    parse_platforms,
    parse_prediction,
)
from buildernet.measure.errors import DocumentError
from buildernet.measure.events import BootPath
from buildernet.measure.prediction import Platform, Provenance
from tests.support.predictions import make_prediction

PLATFORM = Platform("c3-standard-4", Provenance.OBSERVED, Digest48(b"\7" * 48), "2026-11-01")
PREDICTION = replace(make_prediction(boot=BootPath.GPT), platforms=(PLATFORM,))
TEXT = encode_prediction(PREDICTION)


def test_round_trip() -> None:
    assert parse_prediction(TEXT) == PREDICTION
    assert encode_prediction(parse_prediction(TEXT)) == TEXT


def test_firmware_without_tdx_metadata_round_trips() -> None:
    prediction = replace(PREDICTION, mrtd=None)
    assert parse_prediction(encode_prediction(prediction)) == prediction


def test_rtmr0_says_that_it_is_not_promised_and_where_it_comes_from() -> None:
    document = json.loads(TEXT)
    assert document["rtmr0"]["promised"] is False
    assert document["rtmr0"]["platforms"][0]["provenance"] == "observed"
    assert "rtmr0" not in document["registers"]


def test_every_event_has_a_reason() -> None:
    for event in json.loads(TEXT)["events"]:
        assert event["reason"]
        assert event["description"]


def change(*path: str | int, to: object) -> str:
    document = json.loads(TEXT)
    at = document
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = to
    return json.dumps(document)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (change("schema", to="buildernet-events/2"), "schema"),
        (change("registers", "rtmr1", to={"sha384": ["00" * 48]}), "rtmr1"),
        (change("events", 3, "sha384", to="00" * 48), "do not follow"),
        (change("events", 3, "sha256", to="00"), "32 bytes"),
        (change("events", 3, "pcr", to=24), "PCR 24"),
        (change("events", 3, "pcr", to=True), "PCR True"),
        (change("firmware", "mrtd", "single_pass", to="00" * 48), "mrtd"),
        (change("stub", to=7), "expected text"),
        (change("rtmr0", "platforms", 0, "provenance", to="promised"), "promised"),
        ("[]", "not an events document"),
        ("{}", "not an events document"),
        ("{" * 100000, "not an events document"),
        (" " * (MAX_DOCUMENT_BYTES + 1), "larger"),
    ],
)
def test_contradictions_and_other_formats_are_refused(text: str, message: str) -> None:
    with pytest.raises(DocumentError, match=message):
        parse_prediction(text)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)


@given(st.data())
def test_wrong_values_raise_our_error_only(data: st.DataObject) -> None:
    document = json.loads(TEXT)
    at = document
    while True:
        keys = list(at) if isinstance(at, dict) else list(range(len(at)))
        key = data.draw(st.sampled_from(keys))
        if isinstance(at[key], dict | list) and at[key] and data.draw(st.booleans()):
            at = at[key]
            continue
        at[key] = data.draw(JSON_VALUES)
        break
    with contextlib.suppress(DocumentError):
        parse_prediction(json.dumps(document))


@given(st.integers(0, len(TEXT) - 2))
def test_truncation_is_refused(length: int) -> None:
    with pytest.raises(DocumentError):
        parse_prediction(TEXT[:length])


def test_platforms_are_read_as_they_are_written() -> None:
    rows = json.dumps(json.loads(TEXT)["rtmr0"]["platforms"])
    assert parse_platforms(rows) == (PLATFORM,)
    for bad in ("1", "[1]", "[{}]", "x", rows.replace("07", "0")):
        with pytest.raises(DocumentError):
            parse_platforms(bad)
