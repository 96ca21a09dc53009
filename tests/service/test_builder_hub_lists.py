# SPDX-License-Identifier: MIT
"""Lists of the admin API: whole, in pages, and with the way to the next one."""

from typing import Any

import pytest
from yarl import URL

from buildernet.builder_hub import builders
from tests.support.builder_hub import ADMIN, MEASUREMENT, RunningHub, instance_headers
from tests.support.hub_nodes import SimulatedNode

ROWS = 3


@pytest.fixture
async def full(hub: RunningHub) -> RunningHub:
    """A hub with several of everything."""
    for number in range(ROWS):
        name, ip = f"b{number}", f"9.9.9.{number}"
        await hub.add_measurement({**MEASUREMENT, "measurement_id": f"m{number}"})
        await hub.add_builder(name, ip=ip)
        posted = SimulatedNode(ip=ip).attestation_request()
        await hub.send("/tee_attestation", posted, headers=instance_headers(ip=ip))
        await hub.post("/builders/configuration/b0", {"number": number})
    return hub


async def walk(hub: RunningHub, path: str) -> list[Any]:
    """Return all rows, page after page, as the `Link` header says."""
    rows: list[Any] = []
    url: URL | None = URL(ADMIN + path)
    while url is not None:
        async with hub.admin.get(url) as answer:
            assert answer.status == 200, await answer.text()
            page = await answer.json()
            assert len(page) <= 2
            rows += page
            following = answer.links.get("next")
            url = None if following is None else URL(str(following["url"]))
        assert len(rows) <= 10 * ROWS, "it never ends"
    return rows


async def test_lists_are_walked_page_by_page(full: RunningHub) -> None:
    by_name = [f"b{number}" for number in range(ROWS)]
    newest_first = [f"m{number}" for number in reversed(range(ROWS))]
    for path, key, names in (
        ("/builders", "name", by_name),
        ("/attestations", "builder_name", by_name),
        ("/measurements", "measurement_id", newest_first),
    ):
        assert [row[key] for row in await walk(full, f"{path}?limit=2")] == names
        assert [row[key] for row in await full.get(path)] == names
    history = await walk(full, "/builders/configuration/b0/history?limit=2")
    assert [row["document"] for row in history] == [
        *({"number": number} for number in reversed(range(ROWS))),
        {"instance_name": "b0"},
    ]
    audit = await walk(full, "/audit?subject=b0&limit=2")  # other parameters go on
    assert len(audit) > 2
    assert {row["subject"] for row in audit} == {"b0"}


@pytest.mark.parametrize(
    "path",
    ["/builders?limit=0", "/builders?after=%20", "/measurements?before=x", "/attestations?after=",
     "/builders/configuration/b0/history?limit=1001"],
)  # fmt: skip
async def test_malformed_page_is_refused(sqlite_hub: RunningHub, path: str) -> None:
    await sqlite_hub.get(path, status=400)


async def test_more_builders_than_nodes_can_be_told_of_are_not_enabled(
    sqlite_hub: RunningHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(builders, "MAX_BUILDERS", 2)
    await sqlite_hub.add_builder("a", ip="9.9.9.1")
    await sqlite_hub.add_builder("b", ip="9.9.9.2")
    third = {"name": "c", "ip_address": "9.9.9.3", "network": "n"}
    await sqlite_hub.post("/builders", third)
    await sqlite_hub.post("/builders/configuration/c", {})
    path = "/builders/activation/c"
    assert (
        "active already" in (await sqlite_hub.post(path, {"enabled": True}, status=409))["message"]
    )
    await sqlite_hub.post("/builders/activation/b", {"enabled": True})
    await sqlite_hub.post("/builders/activation/b", {"enabled": False})
    await sqlite_hub.post(path, {"enabled": True})
