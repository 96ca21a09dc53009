# SPDX-License-Identifier: MIT
import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildernet.base.errors import ConfigError
from buildernet.builder_hub.database import parse_database_url


@pytest.mark.parametrize(
    ("value", "url"),
    [
        (
            "postgres://postgres:postgres@localhost:5432/postgres?sslmode=disable",
            "postgresql+asyncpg://postgres:postgres@localhost:5432/postgres?ssl=disable",
        ),
        ("postgresql://a@/b?host=/run/pg", "postgresql+asyncpg://a@/b?host=%2Frun%2Fpg"),
        ("postgres://a@b/c?application_name=x", "postgresql+asyncpg://a@b/c"),
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
