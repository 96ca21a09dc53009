# SPDX-License-Identifier: MIT
"""The description of the HTTP APIs: it names what is served, and what is served follows it."""

import asyncio
import json
import warnings
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import CHECKS, not_a_server_error
from schemathesis.core.result import Ok

from tests.support.builder_hub import (
    AUTHORIZED,
    RunningHub,
    instance_headers,
    make_config,
    running_hub,
)

DOCUMENT: Final = Path(__file__).resolve().parents[2] / "docs/protocols/builder-hub.openapi.json"
METHODS: Final = {"get", "post", "put", "delete"}
PAGES: Final = ("/", "/measurements", "/registrations", "/attestations", "/events", "/audit",
                "/style.css", "/builders/{name}/activation",
                "/measurements/{name}/activation")  # fmt: skip
LISTENERS: Final = ("instance", "internal", "admin")
CONFORMANCE: Final = ("status_code_conformance", "content_type_conformance",
                      "response_schema_conformance")  # fmt: skip


def document() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(DOCUMENT.read_text())
    return loaded


def described(listener: str) -> set[tuple[str, str]]:
    return {
        (method.upper(), path)
        for path, item in document()["paths"].items()
        for method in METHODS & set(item)
        if listener in item["x-listeners"]
    }


@pytest.fixture
async def described_hub(sqlite_database: str) -> AsyncIterator[RunningHub]:
    """A hub that takes whatever it may take, so that generated requests get far."""
    config = make_config(
        dangerously_accept_unproved_registrations=True,
        dangerously_accept_unattested_measurements=True,
    )
    async with running_hub(sqlite_database, config, migrated=True) as hub:
        await hub.add_measurement()
        await hub.add_builder()
        yield hub


@pytest.mark.parametrize("listener", LISTENERS)
async def test_every_route_is_described(sqlite_hub: RunningHub, listener: str) -> None:
    app = getattr(sqlite_hub.apps, listener)
    served = {
        (route.method, route.resource.canonical)
        for route in app.router.routes()
        if route.method != "HEAD"
    }
    if listener == "admin":
        served = {(method, path) for method, path in served if path not in PAGES}
    assert served == described(listener)


async def fuzz(hub: RunningHub, listener: str, *, examples: int) -> None:
    """Send requests that the description allows, and some it does not, to every operation."""
    only = {
        path: item
        for path, item in document()["paths"].items()
        if listener in item["x-listeners"] and "drain" not in path
    }
    schema = schemathesis.openapi.from_dict({**document(), "paths": only})
    url = str(getattr(hub, listener)._base_url)
    headers = AUTHORIZED if listener == "admin" else instance_headers()
    checks: list[Any] = [not_a_server_error, *CHECKS.get_by_names(CONFORMANCE)]
    for result in schema.get_all_operations():
        assert isinstance(result, Ok), result
        operation = result.ok()

        @settings(
            max_examples=examples,
            database=None,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.explicit, Phase.generate],
        )
        @given(case=operation.as_strategy())
        def send(case: schemathesis.Case[Any]) -> None:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of requests' own making
                response = case.call(base_url=url, headers=headers)
            case.validate_response(response, checks=checks)

        await asyncio.to_thread(send)


@pytest.mark.parametrize("listener", LISTENERS)
async def test_generated_requests_get_described_answers(
    described_hub: RunningHub, listener: str
) -> None:
    await fuzz(described_hub, listener, examples=2)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("listener", LISTENERS)
async def test_many_generated_requests_get_described_answers(
    described_hub: RunningHub, listener: str
) -> None:
    await fuzz(described_hub, listener, examples=200)
