# SPDX-License-Identifier: MIT
"""What answers mean: by their codes, never by the words beside them."""

import json
from typing import Any

import pytest

from buildernet.ethereum.signature import SigningKey
from buildernet.net.keepalive import Answer
from buildernet.orderflow_proxy import share
from buildernet.orderflow_proxy.sending import forms
from buildernet.orderflow_proxy.sending.forms import (
    CLOCK_AGAIN_S,
    BatchEncoder,
    Judgement,
    NodeForm,
    Verdict,
    judge_json_rpc,
)
from buildernet.orderflow_proxy.sending.parcel import Ticket, pack
from tests.support.orderflow_nodes import make_order

KEY = SigningKey(b"\x07" * 32)
NOW = 1_780_000_000
OLD_TEXT = "the builder does not keep up, try again"


class Clock:
    """Monotonic seconds that a test sets."""

    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def form(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> NodeForm:
    monkeypatch.setattr(forms, "time", lambda: NOW)
    return NodeForm(BatchEncoder(KEY), host="peer", clock=clock)


def tickets(number: int) -> list[Ticket]:
    parcels = [pack(make_order(each), key=KEY, now_s=0, head=None) for each in range(number)]
    return [Ticket(parcel, sequence=at, queued_s=0) for at, parcel in enumerate(parcels)]


def judge(form: NodeForm, status: int = 200, number: int = 3, **members: Any) -> Judgement:
    answer = {"success": True, "error": None, "timestamp": NOW, **members}
    request = form.encode(tickets(number))
    return request.judge(Answer(status, json.dumps(answer).encode()))


def test_busy_order_goes_again_and_others_do_not(form: NodeForm) -> None:
    judged = judge(
        form,
        refused=[
            {"index": 0, "error": "whatever", "code": "busy"},
            {"index": 2, "error": "nonce too old"},
        ],
    )
    assert judged.verdict is Verdict.DELIVERED
    assert (set(judged.later), set(judged.refused)) == ({0}, {2})
    assert judged.said == "nonce too old"


@pytest.mark.parametrize("code", [None, "", 7, "BUSY", "another", ["busy"], {}])
def test_words_without_a_known_code_are_a_refusal(form: NodeForm, code: Any) -> None:
    refusal = {"index": 1, "error": OLD_TEXT}
    judged = judge(form, refused=[refusal if code is None else {**refusal, "code": code}])
    assert judged.verdict is Verdict.DELIVERED
    assert (set(judged.later), set(judged.refused)) == (set(), {1})


@pytest.mark.parametrize("number", [1, 3])
def test_refusal_for_the_time_sends_the_orders_by_json_rpc(
    form: NodeForm, clock: Clock, number: int
) -> None:
    said: dict[str, Any] = {"success": False, "error": "old", "timestamp": NOW - 3600}
    judged = judge(form, 400, number, **said, code="clock")
    assert judged.verdict is Verdict.AGAIN
    assert judged.clock_refused
    assert judged.ahead_s == 3600
    assert (form.is_sharing, form.max_orders) == (False, 1)
    data = form.encode(tickets(1)).data
    assert b'"jsonrpc"' in data
    clock.now_s += CLOCK_AGAIN_S
    assert form.is_sharing


@pytest.mark.parametrize(("number", "verdict"), [(1, Verdict.REFUSED), (3, Verdict.AGAIN)])
def test_other_refusals_of_a_request_keep_to_batches(
    form: NodeForm, number: int, verdict: Verdict
) -> None:
    judged = judge(form, 400, number, success=False, error="timestamp is in the future")
    assert judged.verdict is verdict
    assert not judged.clock_refused
    assert form.is_sharing


def test_request_is_made_once_a_second_for_all_peers(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = [float(NOW)]
    monkeypatch.setattr(forms, "time", lambda: seconds[0])
    encoder, parcels = BatchEncoder(KEY), tuple(ticket.parcel for ticket in tickets(2))
    first = encoder.encode(parcels)
    seconds[0] += 0.9
    assert encoder.encode(parcels) is first
    seconds[0] += 0.1
    again = share.parse_request(encoder.encode(parcels))
    assert again.timestamp == NOW + 1
    assert again.nonce != share.parse_request(first).nonce


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        ({"code": -32002, "message": "whatever"}, Verdict.LATER),
        ({"code": -32603, "message": OLD_TEXT}, Verdict.REFUSED),
        ({"code": "x", "message": "no"}, Verdict.REFUSED),
        ({"code": -32000, "message": "unknown peers can't send to the public"}, Verdict.LATER),
    ],
)
def test_json_rpc_error_counts_by_its_code(error: dict[str, Any], verdict: Verdict) -> None:
    body = json.dumps({"jsonrpc": "2.0", "id": 0, "error": error}).encode()
    assert judge_json_rpc(Answer(200, body)).verdict is verdict
