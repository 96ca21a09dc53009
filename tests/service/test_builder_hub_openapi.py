# SPDX-License-Identifier: MIT
"""The description of the HTTP APIs: it names what is served, and what is served follows it."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.builder_hub import (
    AUTHORIZED,
    RunningHub,
    instance_headers,
    make_config,
    running_hub,
)
from tests.support.generated_requests import fuzz

DOCUMENT: Final = Path(__file__).resolve().parents[2] / "docs/protocols/builder-hub.openapi.json"
METHODS: Final = {"get", "post", "put", "delete"}
PAGES: Final = ("/", "/measurements", "/registrations", "/attestations", "/events", "/audit",
                "/style.css", "/builders/{name}/activation",
                "/measurements/{name}/activation")  # fmt: skip
LISTENERS: Final = ("instance", "internal", "admin")


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


async def fuzz_listener(hub: RunningHub, listener: str, *, examples: int) -> None:
    """Send generated requests to every operation of a listener."""
    only = {
        path: item
        for path, item in document()["paths"].items()
        if listener in item["x-listeners"] and "drain" not in path
    }
    headers = AUTHORIZED if listener == "admin" else instance_headers()
    url = str(getattr(hub, listener)._base_url)
    await asyncio.to_thread(
        fuzz, {**document(), "paths": only}, url, examples=examples, headers=headers
    )


@pytest.mark.parametrize("listener", LISTENERS)
async def test_generated_requests_get_described_answers(
    described_hub: RunningHub, listener: str
) -> None:
    await fuzz_listener(described_hub, listener, examples=2)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("listener", LISTENERS)
async def test_many_generated_requests_get_described_answers(
    described_hub: RunningHub, listener: str
) -> None:
    await fuzz_listener(described_hub, listener, examples=200)
