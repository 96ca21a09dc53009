# SPDX-License-Identifier: MIT
import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildernet.attestation.event_log import EV_EFI_ACTION, Event
from buildernet.attestation.registers import Bank
from buildernet.measure import alignment
from buildernet.measure.alignment import align, digests_equal
from buildernet.measure.digests import BANKS, digests_of
from buildernet.measure.events import ExpectedEvent, make_event


def expected(label: str, content: str) -> ExpectedEvent:
    digests = digests_of(content.encode())
    return make_event(4, EV_EFI_ACTION, label, digests=digests, description="d", reason="r")


def actual(label: str, content: str, number: int = 1) -> Event:
    digests = {bank: bank.digest(content.encode()) for bank in BANKS}
    return Event(number=number, index=4, type=EV_EFI_ACTION, digests=digests, data=label.encode())


def shape(pairs: list[alignment.Pair]) -> list[str]:
    return [
        "missing"
        if right is None
        else "unexpected"
        if left is None
        else "same"
        if digests_equal(left, right, BANKS)
        else "different"
        for left, right in pairs
    ]


def test_inserted_event_does_not_shift_the_rest() -> None:
    wanted = [expected("x", content) for content in "abc"]
    logged = [actual("x", content) for content in "aNbc"]
    assert shape(align(wanted, logged, BANKS)) == ["same", "unexpected", "same", "same"]


def test_one_change_is_one_row() -> None:
    wanted = [expected("x", content) for content in "abc"]
    assert shape(align(wanted, [actual("x", c) for c in "aNc"], BANKS)) == [
        "same",
        "different",
        "same",
    ]
    assert shape(align(wanted, [actual("x", c) for c in "ac"], BANKS)) == [
        "same",
        "missing",
        "same",
    ]


def test_events_of_other_labels_never_pair() -> None:
    pairs = align([expected("x", "a")], [actual("y", "a")], BANKS)
    assert sorted(shape(pairs)) == ["missing", "unexpected"]


def test_digest_missing_in_one_bank_is_different() -> None:
    event = actual("x", "a")
    sha256 = {Bank.SHA256: event.digests[Bank.SHA256]}
    partial = Event(number=1, index=4, type=EV_EFI_ACTION, digests=sha256, data=b"x")
    assert shape(align([expected("x", "a")], [partial], BANKS)) == ["different"]


def test_log_beyond_the_limit_is_reported_one_sided(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alignment, "MAX_CELLS", 4)
    wanted = [expected("x", "a")]
    logged = [actual("x", "a", number) for number in range(10)]
    assert shape(align(wanted, logged, BANKS)) == ["same"] + ["unexpected"] * 9


@given(st.text("ab", max_size=8), st.text("ab", max_size=8))
def test_nothing_is_lost_and_order_is_kept(left: str, right: str) -> None:
    wanted = [expected("x", content) for content in left]
    logged = [actual("x", content, number) for number, content in enumerate(right)]
    pairs = align(wanted, logged, BANKS)
    assert [one for one, _ in pairs if one is not None] == wanted
    assert [other for _, other in pairs if other is not None] == logged
    assert (left == right) == all(kind == "same" for kind in shape(pairs))
