# SPDX-License-Identifier: MIT
"""Fixtures of builder-hub's tests: a PostgreSQL cluster, and a fresh database of each kind."""

import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.support.builder_hub import RunningHub, prepare, running_hub
from tests.support.postgres import Postgres, running_postgres


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A cluster that tests share; nobody may kill it."""
    with running_postgres() as cluster:
        yield cluster


@pytest.fixture(scope="session")
def _postgres_template(postgres: Postgres) -> str:
    name = postgres.create()
    prepare(postgres.url(name))
    return name


@pytest.fixture(scope="session")
def _sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("hub") / "template.sqlite"
    prepare(f"sqlite:///{path}")
    return path


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.process)])
def hub_database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of a migrated, empty database of each kind."""
    if request.param == "sqlite":
        path = tmp_path / "hub.sqlite"
        shutil.copy(request.getfixturevalue("_sqlite_template"), path)
        return f"sqlite:///{path}"
    cluster: Postgres = request.getfixturevalue("postgres")
    template = request.getfixturevalue("_postgres_template")
    return cluster.url(cluster.create(template=template))


@pytest.fixture
def sqlite_database(_sqlite_template: Path, tmp_path: Path) -> str:
    """URL of a migrated, empty SQLite database, for what is the same on both."""
    path = tmp_path / "hub.sqlite"
    shutil.copy(_sqlite_template, path)
    return f"sqlite:///{path}"


@pytest.fixture
async def hub(hub_database: str) -> AsyncIterator[RunningHub]:
    """A hub on each kind of database."""
    async with running_hub(hub_database, migrated=True) as running:
        yield running


@pytest.fixture
async def sqlite_hub(sqlite_database: str) -> AsyncIterator[RunningHub]:
    """A hub on SQLite."""
    async with running_hub(sqlite_database, migrated=True) as running:
        yield running
