# SPDX-License-Identifier: MIT
import sqlite3
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.exc import DBAPIError

from buildernet.base.errors import ConfigError
from buildernet.builder_hub.database import parse_database_url
from buildernet.builder_hub.database_errors import cause, is_unavailable, takes_no_writes


@pytest.mark.parametrize(
    ("value", "url"),
    [
        (
            "postgres://postgres:postgres@localhost:5432/postgres?sslmode=disable",
            "postgresql+asyncpg://postgres:postgres@localhost:5432/postgres?ssl=disable",
        ),
        ("postgresql://a@/b?host=/run/pg", "postgresql+asyncpg://a@/b?host=%2Frun%2Fpg"),
        ("postgres://a@b/c?application_name=x", "postgresql+asyncpg://a@b/c"),
        (
            "postgres://a@b/c?connect_timeout=3&sslmode=verify-full&sslrootcert=/dev/../etc/hosts",
            "postgresql+asyncpg://a@b/c?connect_timeout=3&"
            "dsn=postgresql%3A%2F%2F%3Fsslrootcert%3D%252Fdev%252F..%252Fetc%252Fhosts&"
            "ssl=verify-full",
        ),
        ("sqlite:///hub.db", "sqlite+aiosqlite:///hub.db"),
        ("sqlite:////var/hub.db", "sqlite+aiosqlite:////var/hub.db"),
    ],
)
def test_operators_urls_are_understood(value: str, url: str) -> None:
    assert parse_database_url(value).render_as_string(hide_password=False) == url


@pytest.mark.parametrize(
    "value",
    [
        "",
        "hub.db",
        "mysql://a:s3cret@b/c",
        "sqlite://",
        "sqlite:///:memory:",
        "postgres://a:s3cret@b/c?sslmode=maybe",
        "postgres://a:s3cret@b/c?search_path=x",
        "postgres://a:s3cret@b:port/c",
        "postgres://a:s3cret@b/c?connect_timeout=0",
        "postgres://a:s3cret@b/c?connect_timeout=61",
        "postgres://a:s3cret@b/c?connect_timeout=1s",
        "postgres://a:s3cret@b/c?sslmode=verify-full&sslrootcert=/nowhere",
        "postgres://a:s3cret@b/c?sslmode=prefer&sslrootcert=/etc/hosts",
        "postgres://a:s3cret@b/c?sslrootcert=/etc/hosts",
    ],
)
def test_other_urls_are_refused_without_their_password(value: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse_database_url(value)
    assert "s3cret" not in f"{error.value} {error.value.hint}"


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        parse_database_url(text)
    except ConfigError:
        return


class DriverError(Exception):
    """What a driver raises, with PostgreSQL's code."""

    def __init__(self, sqlstate: str) -> None:
        super().__init__("s3cret")
        self.sqlstate = sqlstate


def from_driver(sqlstate: str) -> DBAPIError:
    return DBAPIError("SELECT s3cret", {}, DriverError(sqlstate))


@pytest.mark.parametrize("state", ["25006", "53100", "53200", "58030"])
def test_refused_writes_are_the_databases_fault(state: str) -> None:
    assert is_unavailable(from_driver(state))
    assert takes_no_writes(from_driver(state))
    assert cause(from_driver(state)) == f"DriverError({state})"


@pytest.mark.parametrize("state", ["08006", "28000", "28P01", "3D000", "40P01", "57P01", "57014"])
def test_other_faults_of_the_database_leave_writing_open(state: str) -> None:
    assert is_unavailable(from_driver(state))
    assert not takes_no_writes(from_driver(state))


@pytest.mark.parametrize("state", ["42P01", "42501", "22003", "25001", ""])
def test_our_own_mistakes_are_not_the_databases_fault(state: str) -> None:
    assert not is_unavailable(from_driver(state))


def test_sqlites_errors_have_their_own_names(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite"
    sqlite3.connect(path).close()
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    with pytest.raises(sqlite3.OperationalError) as error:
        connection.execute("CREATE TABLE a (b)")
    connection.close()
    assert cause(error.value) == "OperationalError(SQLITE_READONLY)"
    assert takes_no_writes(error.value)
