# SPDX-License-Identifier: MIT
"""The receiver answers what its OpenAPI description promises, to whatever fits it or does not."""

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
from requests.auth import AuthBase

from buildernet.ethereum.signature import SigningKey, sign_body
from buildernet.orderflow_proxy.share import PATH
from tests.support.generated_requests import ALLOWED_AND_NOT, EVERY_CHECK, fuzz
from tests.support.orderflow_receiver import receiving
from tests.support.orders import PEER, USER

DESCRIPTION = Path(__file__).parents[2] / "docs/protocols/orderflow-proxy.openapi.json"
UNFIT = {
    # Fits the schema, and is still no valid transaction, time or signature.
    "positive_data_acceptance",
    # A batch answers 200 with an error inside; members nobody knows are ignored.
    "negative_data_rejection",
}


def document() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(DESCRIPTION.read_text())
    return loaded


@dataclass(frozen=True)
class Signed(AuthBase):
    """Signs a request in its header."""

    key: SigningKey

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        body = request.body or b""
        raw = body.encode() if isinstance(body, str) else body
        assert isinstance(raw, bytes)
        request.headers["X-Flashbots-Signature"] = sign_body(self.key, raw)
        return request


async def fuzz_side(side: str, *, examples: int) -> None:
    """Send generated requests to every operation of a side; nodes alone share."""
    paths = {path: item for path, item in document()["paths"].items() if path != PATH}
    async with receiving() as receiver:
        await asyncio.to_thread(
            fuzz,
            document() if side == "system" else {**document(), "paths": paths},
            getattr(receiver, side),
            examples=examples,
            auth=Signed(PEER if side == "system" else USER),
            checks=EVERY_CHECK - UNFIT,
            modes=ALLOWED_AND_NOT,
        )


@pytest.mark.parametrize("side", ["system", "user"])
async def test_answers_follow_the_description(side: str) -> None:
    await fuzz_side(side, examples=2)


@pytest.mark.process  # making a request takes schemathesis far longer than answering it
@pytest.mark.parametrize("side", ["system", "user"])
async def test_many_answers_follow_the_description(side: str) -> None:
    await fuzz_side(side, examples=100)


def test_it_describes_the_routes_that_exist() -> None:
    described = set(document()["paths"])
    assert described == {"/", PATH, "/livez", "/health", "/readyz"}
