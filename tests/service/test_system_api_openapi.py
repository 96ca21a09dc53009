# SPDX-License-Identifier: MIT
"""system-api answers what its OpenAPI description promises."""

import asyncio
import json
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.generated_requests import fuzz

DOCUMENT: Final = Path(__file__).parents[2] / "docs/protocols/system-api.openapi.json"


def document() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(DOCUMENT.read_text())
    return loaded


async def test_every_route_is_described(service):
    served = {
        (route.method.lower(), route.resource.canonical)
        for route in service.app.router.routes()
        if route.method != "HEAD"
    }
    assert served == {
        (method, path) for path, item in document()["paths"].items() for method in item
    }


@pytest.mark.parametrize(
    "examples", [2, pytest.param(100, marks=pytest.mark.process)], ids=["few", "many"]
)
async def test_generated_requests_get_described_answers(service, examples):
    url = f"http://{service.host}:{service.port}"
    await asyncio.to_thread(fuzz, document(), url, examples=examples)
