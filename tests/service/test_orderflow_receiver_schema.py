# SPDX-License-Identifier: MIT
"""The receiver answers what its OpenAPI description promises, to whatever fits it or does not."""

import asyncio
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, settings
from requests.auth import AuthBase

from buildernet.ethereum.signature import SigningKey, sign_body
from buildernet.orderflow_proxy.share import PATH
from tests.support.orderflow_receiver import receiving
from tests.support.orders import PEER, USER

DESCRIPTION = Path(__file__).parents[2] / "docs/protocols/orderflow-proxy.openapi.json"
START_S = 20.0

schema = schemathesis.openapi.from_dict(json.loads(DESCRIPTION.read_text()))


@dataclass(frozen=True)
class Side(AuthBase):
    """One listener, and who signs there."""

    url: str
    key: SigningKey

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        body = request.body or b""
        raw = body.encode() if isinstance(body, str) else body
        assert isinstance(raw, bytes)
        request.headers["X-Flashbots-Signature"] = sign_body(self.key, raw)
        return request


@pytest.fixture(scope="module", params=["system", "user"])
def side(request: pytest.FixtureRequest) -> Iterator[Side]:
    """A side of a receiver with a loop of its own: schemathesis is synchronous."""
    found: list[Side] = []
    started = threading.Event()
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    async def serve() -> None:
        async with receiving() as receiver:
            system = request.param == "system"
            found.append(Side(receiver.system, PEER) if system else Side(receiver.user, USER))
            started.set()
            await stop.wait()

    def run() -> None:
        loop.run_until_complete(serve())
        loop.close()

    thread = threading.Thread(target=run)
    thread.start()
    assert started.wait(START_S)
    yield found[0]
    loop.call_soon_threadsafe(stop.set)
    thread.join(START_S)


@schema.parametrize()
@settings(max_examples=2, deadline=None, suppress_health_check=list(HealthCheck))
def test_answers_follow_the_description(case: Any, side: Side) -> None:
    check(case, side)


@pytest.mark.process  # making a request takes schemathesis far longer than answering it
@schema.parametrize()
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_many_answers_follow_the_description(case: Any, side: Side) -> None:
    check(case, side)


def check(case: Any, side: Side) -> None:
    if case.path == PATH and side.key is USER:
        return  # nodes alone share
    case.call_and_validate(
        base_url=side.url,
        auth=side,
        excluded_checks=[
            # Fits the schema, and is still no valid transaction, time or signature.
            schemathesis.checks.CHECKS.get_one("positive_data_acceptance"),
            # A batch answers 200 with an error inside; members nobody knows are ignored.
            schemathesis.checks.CHECKS.get_one("negative_data_rejection"),
        ],
    )


def test_it_describes_the_routes_that_exist() -> None:
    described = set(json.loads(DESCRIPTION.read_text())["paths"])
    assert described == {"/", PATH, "/livez", "/health", "/readyz"}
