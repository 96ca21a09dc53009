# SPDX-License-Identifier: MIT
"""A database that hangs, takes no writes, or is gone: what is said, and what goes on."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from buildernet.builder_hub.database import Database, parse_database_url
from buildernet.builder_hub.errors import UnavailableError
from buildernet.builder_hub.limits import PING_TIMEOUT_S
from tests.support.builder_hub import ADMIN, RunningHub, prepare, running_hub
from tests.support.postgres import Postgres, running_postgres
from tests.support.small_disk import fill, small_disk

DISK_BYTES = 1 << 20
CLOSING_S = 2.0
"""What asyncpg takes to give up a connection that hangs; nobody may wait for it."""


async def readiness(hub: RunningHub) -> tuple[int, str]:
    async with hub.instance.get("/readyz") as answer:
        return answer.status, (await answer.json()).get("reason", "")


async def metric(hub: RunningHub, name: str) -> float:
    async with hub.metrics.get("/metrics") as answer:
        lines = (await answer.text()).splitlines()
    return float(next(line.split()[1] for line in lines if line.startswith(f"{name} ")))


async def prepared(hub: RunningHub) -> RunningHub:
    await hub.add_measurement()
    await hub.add_builder()
    await hub.post("/builders/secrets/alpha", {"key": "0xsecret"})
    return hub


async def require_read_only(hub: RunningHub, reason: str) -> None:
    """Nodes get what they need to boot, changes are refused, and everybody can see it."""
    answer = await hub.post("/builders/secrets/alpha", {"key": "new"}, status=503)
    assert answer["message"] == "the database takes no writes, try again later"
    assert await readiness(hub) == (503, f"database: {reason}")
    assert await metric(hub, "builder_hub_database_up") == 0
    lost = await metric(hub, "builder_hub_events_lost_total")
    assert await hub.ask("/configuration") == {"key": "0xsecret"}
    assert await metric(hub, "builder_hub_events_lost_total") == lost + 1
    assert await readiness(hub) == (503, f"database: {reason}")


async def require_recovered(hub: RunningHub) -> None:
    assert await readiness(hub) == (200, "")
    assert await metric(hub, "builder_hub_database_up") == 1
    await hub.post("/builders/secrets/alpha", {"key": "newer"})
    events = len(await hub.get("/events"))
    assert await hub.ask("/configuration") == {"key": "newer"}
    assert len(await hub.get("/events")) == events + 1


async def use_up(hub: RunningHub) -> None:
    """Write until the log that SQLite has on the disk already is full too."""
    url, document = f"{ADMIN}/builders/configuration/alpha", {"x": "y" * 4000}
    for _ in range(1000):
        async with hub.admin.post(url, json=document) as answer:
            if answer.status == 503:
                return
    raise AssertionError("the disk is not full")


async def test_full_disk_is_seen_and_nodes_boot(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with small_disk(tmp_path / "disk", size=DISK_BYTES) as disk:
        async with running_hub(f"sqlite:///{disk}/hub.sqlite") as hub:
            await prepared(hub)
            fill(disk / "filler")
            await use_up(hub)
            caplog.clear()
            await require_read_only(hub, "OperationalError(SQLITE_FULL)")
            assert "database_unavailable cause=OperationalError(SQLITE_FULL)" in caplog.text
            assert "event_lost event=GetConfig builder=alpha image='image-1'" in caplog.text
            (disk / "filler").unlink()
            await require_recovered(hub)


@pytest.mark.process
async def test_postgresql_that_is_read_only_serves_what_it_can(postgres: Postgres) -> None:
    name = await asyncio.to_thread(postgres.create)
    async with running_hub(postgres.url(name)) as hub:
        await prepared(hub)
        change = f"ALTER DATABASE {name} SET default_transaction_read_only ="
        await postgres.run(f"{change} on")
        await hub.hub.database.engine.dispose()  # the setting is of new connections
        await require_read_only(hub, "ReadOnlySQLTransactionError(25006)")
        await postgres.run(f"{change} off")
        await hub.hub.database.engine.dispose()
        await require_recovered(hub)


@pytest.mark.process
async def test_database_that_was_dropped_is_unavailable(postgres: Postgres) -> None:
    name = await asyncio.to_thread(postgres.create)
    async with running_hub(postgres.url(name)) as hub:
        await prepared(hub)
        await postgres.run(f"DROP DATABASE {name} WITH (FORCE)")
        answer = await hub.ask("/builders", status=503)
        assert answer["message"] == "the database does not answer, try again"
        status, reason = await readiness(hub)
        assert (status, reason) == (503, "database: InvalidCatalogNameError(3D000)")


async def test_metric_of_the_database_is_of_now(sqlite_hub: RunningHub) -> None:
    assert await metric(sqlite_hub, "builder_hub_database_up") == 1
    database = sqlite_hub.hub.database
    good, database.engine = database.engine, Database(parse_database_url(
        "sqlite:////nowhere/hub.sqlite")).engine  # fmt: skip
    assert await metric(sqlite_hub, "builder_hub_database_up") == 0
    database.engine = good
    assert await metric(sqlite_hub, "builder_hub_database_up") == 1


@pytest.mark.process
async def test_hung_database_is_told_in_time() -> None:
    with running_postgres() as cluster:
        url = cluster.url(await asyncio.to_thread(cluster.create))
        await asyncio.to_thread(prepare, url)
        async with running_hub(url, migrated=True) as hub:
            assert await readiness(hub) == (200, "")
            with cluster.frozen():
                begun = time.monotonic()
                answers = await asyncio.gather(*(readiness(hub) for _ in range(4)))
                assert set(answers) == {(503, "database: TimeoutError")}
                assert time.monotonic() - begun < PING_TIMEOUT_S + CLOSING_S / 2
            await asyncio.wait_for(_until_ready(hub), 20)


async def _until_ready(hub: RunningHub) -> None:
    while (await readiness(hub))[0] != 200:
        pass


@pytest.fixture
async def silent() -> AsyncIterator[int]:
    """The port of a server that takes connections and says nothing."""

    async def nothing(_reader: Any, writer: asyncio.StreamWriter) -> None:
        await _reader.read()
        writer.close()

    server = await asyncio.start_server(nothing, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()


async def test_connect_timeout_of_the_url_counts(silent: int) -> None:
    url = f"postgres://hub@127.0.0.1:{silent}/hub?sslmode=disable&connect_timeout=1"
    database = Database(parse_database_url(url))
    begun = time.monotonic()
    with pytest.raises(UnavailableError):
        async with database.transaction():
            pass
    assert time.monotonic() - begun < 4  # without it 5
    await database.close()
