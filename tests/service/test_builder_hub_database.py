# SPDX-License-Identifier: MIT
"""The database: its versions, and what happens when it goes away."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import select, text

from buildernet.builder_hub.database import Database, parse_database_url
from buildernet.builder_hub.errors import MigrationError, UnavailableError
from buildernet.builder_hub.migrate import migrate, newest, version
from buildernet.builder_hub.schema import METADATA, REGISTRATIONS
from tests.support.builder_hub import MRTD, RunningHub, make_config, running_hub, with_admin
from tests.support.postgres import Postgres, running_postgres

pytestmark = pytest.mark.process

RECOVERY_DEADLINE_S = 20.0


FIRST_ROWS = (
    "INSERT INTO builders VALUES ('alpha', '1.2.3.4', 'a.x', 'production', TRUE, 1, 1, NULL)",
    "INSERT INTO measurements VALUES "
    """(1, 'image-1', 'dcap-tdx', '{"0": ["MRTD"]}', TRUE, 1, 1, NULL)""",
    "INSERT INTO configurations VALUES (1, 'alpha', '{}', TRUE, 1)",
    "INSERT INTO registrations VALUES "
    "(1, 'alpha', 'instance', NULL, '0xold', '', TRUE, 1, FALSE, 1, 2)",
    "INSERT INTO registrations VALUES "
    "(2, 'alpha', 'instance', NULL, '0xnew', '', TRUE, 1, TRUE, 2, NULL)",
    "INSERT INTO evidence VALUES (1, 'alpha', '0x01', 'dcap-tdx', 'PEM', NULL, '1.2.3.4', '0x00', "
    "'0102', 1, 1, 1, TRUE)",
    "INSERT INTO events VALUES (7, 'GetConfig', 'alpha', 1, 1)",
    "INSERT INTO audit VALUES (1, 1, 'admin', '127.0.0.1', 'builder_added', 'alpha', '{}')",
)
"""A row of every table but `secrets`, which only a key makes, as version 0001 has them."""


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/empty.sqlite"
    cluster: Postgres = request.getfixturevalue("postgres")
    return cluster.url(cluster.create())


@pytest.fixture
def mortal() -> Iterator[Postgres]:
    """A cluster that a test may kill."""
    with running_postgres() as cluster:
        yield cluster


async def test_processes_that_start_together_migrate_once(empty_database: str) -> None:
    databases = [Database(parse_database_url(empty_database)) for _ in range(3)]
    try:
        assert await version(databases[0]) is None
        results = await asyncio.gather(*(migrate(database) for database in databases))
        assert sorted(str(before) for before, _ in results) == [newest(), newest(), "None"]
        assert {after for _, after in results} == {newest()}
    finally:
        for database in databases:
            await database.close()


async def test_migrations_make_the_schema_the_code_uses(hub_database: str) -> None:
    database = Database(parse_database_url(hub_database))
    try:
        async with database.transaction() as connection:
            differences = await connection.run_sync(
                lambda sync: compare_metadata(MigrationContext.configure(sync), METADATA)
            )
        assert differences == []
    finally:
        await database.close()


async def test_rows_of_the_first_version_live_on(
    empty_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database(parse_database_url(empty_database))
    try:
        with monkeypatch.context() as patched:
            patched.setattr("buildernet.builder_hub.migrate.newest", lambda: "0001")
            assert await migrate(database) == (None, "0001")
        async with database.transaction() as connection:
            for statement in FIRST_ROWS:
                await connection.execute(text(statement.replace("MRTD", MRTD)))
        assert await migrate(database) == ("0001", newest())
        async with database.transaction() as connection:
            differences = await connection.run_sync(
                lambda sync: compare_metadata(MigrationContext.configure(sync), METADATA)
            )
            rows = (await connection.execute(select(REGISTRATIONS))).mappings().all()
        assert differences == []
        assert [(row["is_active"], row["is_refused"]) for row in rows] == [
            (False, False),
            (True, False),
        ]
    finally:
        await database.close()
    async with running_hub(empty_database, migrated=True) as hub:
        assert [entry["name"] for entry in await hub.get("/builders")] == ["alpha"]
        (entry,) = await hub.ask("/builders")
        assert entry["instance"] == {"ecdsa_pubkey_address": "0xnew"}
        (peer,) = await hub.get("/attestations")
        assert peer["measurement_id"] == "image-1"
        assert await hub.ask("/configuration") == {}
        assert [event["event_name"] for event in await hub.get("/events")] == ["GetConfig"] * 2
        assert [record["action"] for record in await hub.get("/audit")] == ["builder_added"]


async def test_documents_set_at_once_are_all_taken(hub_database: str) -> None:
    """The last one wins, as with registrations; nobody is told that it contradicts."""
    config = with_admin(make_config(), dangerously_disable_auth=True)
    async with running_hub(hub_database, config, migrated=True) as hub:
        await hub.add_builder()
        for kind in ("configuration", "secrets"):
            path = f"/builders/{kind}/alpha"
            await asyncio.gather(*(hub.post(path, {"n": number}) for number in range(20)))
        history = await hub.get("/builders/configuration/alpha/history")
        assert [row["is_active"] for row in history] == [True] + [False] * 20
        assert set(await hub.get("/builders/configuration/alpha/full")) == {"n"}


async def test_database_of_a_newer_version_is_left_alone(hub_database: str) -> None:
    database = Database(parse_database_url(hub_database))
    try:
        async with database.transaction() as connection:
            await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        with pytest.raises(MigrationError, match="9999"):
            await migrate(database)
    finally:
        await database.close()


async def test_nothing_of_a_failed_request_stays(hub: RunningHub) -> None:
    good = {"measurement_id": "a", "attestation_type": "dcap-tdx", "measurements": {"0": "00" * 48}}
    await hub.post("/measurements", [good, good], status=409)
    assert await hub.get("/measurements") == []
    assert await hub.get("/audit") == []


async def wait_ready(hub: RunningHub) -> None:
    deadline = time.monotonic() + RECOVERY_DEADLINE_S
    while True:
        async with hub.instance.get("/readyz") as answer:
            if answer.status == 200:
                return
        assert time.monotonic() < deadline, "the hub does not recover"


async def test_hub_lives_through_the_death_of_postgresql(mortal: Postgres) -> None:
    url = mortal.url(await asyncio.to_thread(mortal.create))
    async with running_hub(url) as hub:
        await hub.add_measurement()
        await hub.add_builder()
        await asyncio.gather(*(hub.ask("/builders") for _ in range(8)))  # fills the pool
        for end in (mortal.kill, mortal.stop):
            await asyncio.to_thread(end)
            answers = await asyncio.gather(*(hub.ask("/builders", status=503) for _ in range(8)))
            assert answers[0]["message"] == "the database does not answer, try again"
            await hub.post("/builders/activation/alpha", {"enabled": False}, status=503)
            async with hub.instance.get("/readyz") as answer:
                assert answer.status == 503
                assert (await answer.json())["reason"].startswith("database: ")
            async with hub.instance.get("/livez") as answer:
                assert answer.status == 200
            async with hub.metrics.get("/metrics") as answer:
                assert "builder_hub_database_up 0.0" in await answer.text()
            await asyncio.to_thread(mortal.start)
            await wait_ready(hub)
            (entry,) = await hub.ask("/builders")
            assert entry["name"] == "alpha"


async def test_missing_database_is_said_at_the_start(tmp_path: Path) -> None:
    url = f"postgres://hub:s3cret@/none?host={tmp_path}"
    database = Database(parse_database_url(url))
    try:
        with pytest.raises(UnavailableError) as error:
            await migrate(database)
        assert "s3cret" not in f"{error.value} {database.name}"
    finally:
        await database.close()


async def test_sqlite_writers_wait_for_each_other(sqlite_database: str) -> None:
    async with (
        running_hub(sqlite_database, migrated=True) as one,
        running_hub(sqlite_database, migrated=True) as two,
    ):
        await asyncio.gather(
            *(
                hub.post("/builders", {"name": name, "ip_address": "1.1.1.1", "network": "n"})
                for hub, prefix in ((one, "a"), (two, "b"))
                for name in (f"{prefix}{number}" for number in range(10))
            )
        )
        assert len(await one.get("/builders")) == 20
        assert len(await two.get("/audit")) == 20
