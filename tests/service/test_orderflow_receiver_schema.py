# SPDX-License-Identifier: MIT
"""The receiver answers what its OpenAPI description promises, to whatever fits it or does not."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
import requests
from requests.auth import AuthBase

from buildernet.ethereum.signature import sign_body
from buildernet.orderflow_proxy.share import PATH
from tests.support.orderflow_receiver import receiving
from tests.support.orders import PEER

DESCRIPTION = Path(__file__).parents[2] / "docs/protocols/orderflow-proxy.openapi.json"
EXAMPLES = 200


def document() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(DESCRIPTION.read_text())
    return loaded


class Signed(AuthBase):
    """Signs a request as a peer: in its header, and in the body of a request to share."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        body = request.body or b""
        raw = body.encode() if isinstance(body, str) else body
        assert isinstance(raw, bytes)
        request.headers["X-Flashbots-Signature"] = sign_body(PEER, raw)
        return request


@pytest.mark.slow  # making a request takes schemathesis far longer than answering it
@pytest.mark.timeout(600)
async def test_answers_follow_the_description() -> None:
    from tests.support.described_http import EVERY_CHECK, send_described_requests

    unfit = {
        # Fits the schema, and is still no valid transaction, time or signature.
        "positive_data_acceptance",
        # A batch answers 200 with an error inside; members nobody knows are ignored.
        "negative_data_rejection",
    }
    async with receiving() as receiver:
        sent = await asyncio.to_thread(
            send_described_requests,
            document(),
            receiver.system,
            examples=EXAMPLES,
            auth=Signed(),
            checks=EVERY_CHECK - unfit,
        )
    assert sent >= EXAMPLES


def test_it_describes_the_routes_that_exist() -> None:
    described = set(document()["paths"])
    assert described == {"/", PATH, "/livez", "/health", "/readyz"}
