# SPDX-License-Identifier: MIT
"""Settings that must not be accepted."""

from pathlib import Path
from typing import Any, cast

import pytest

from buildernet.archive.clickhouse_server import ServerAddress
from buildernet.archive.config import Access, General, Sender, Storage
from buildernet.archive.errors import SchemaError
from buildernet.archive.migrations import Migration, load_migrations, migrate
from buildernet.base.errors import ConfigError


@pytest.mark.parametrize(
    "make",
    [
        lambda: General(operator_listen_addr="0.0.0.0:14894"),
        lambda: General(operator_listen_addr=":14894"),
        lambda: General(listen_addr="here"),
        lambda: Sender("", "0x" + "11" * 20),
        lambda: Sender("n", "0x11"),
        lambda: Access(hub_url="ftp://hub"),
        lambda: Access(hub_url="http://192.0.2.1"),
        lambda: Access(hub_url="https://"),
        lambda: Access(hub_url="https://user:word@hub.example"),
        lambda: Access(hub_network="a/b"),
        lambda: Storage(retention_months=-1),
        lambda: Storage(database_url="clickhouse.example"),
        lambda: Storage(database_url="http://user:secret@host/db"),
        lambda: Storage(database_url="http://host/db;drop"),
        lambda: Storage(database_url="http://host/db?cluster=a%20b"),
        lambda: General(certificate_file=Path("chain.pem")),
        lambda: General(private_key_file=Path("key.pem")),
        lambda: Storage(database_url="http://host/db?colour=red"),
        lambda: Storage(database_url="http://host:99999/db"),
    ],
)
def test_a_wrong_setting_is_refused(make):
    with pytest.raises(ConfigError):
        make()


def test_one_url_says_server_user_database_and_cluster():
    address = ServerAddress.parse("https://archive@ch.example/buildernet?cluster=main")
    expected = (True, "ch.example", 8443, "archive", "buildernet", "main")
    assert (
        address.secure,
        address.host,
        address.port,
        address.user,
        address.database,
        address.cluster,
    ) == expected


class Tables:
    """An engine that knows which migrations were applied."""

    def __init__(self, applied: bytes = b"") -> None:
        self.applied = applied
        self.statements: list[str] = []

    def execute(self, statement: str) -> None:
        self.statements.append(statement)

    def query(self, _statement: str, _parameters: object) -> bytes:
        return self.applied


def test_statements_are_for_one_server_or_for_every_replica():
    (first, *_) = load_migrations()
    alone = first.statements(cluster=None)
    everywhere = first.statements(cluster="main")
    assert len(alone) == len(everywhere) == 3
    assert all("ON CLUSTER" not in one and "$" not in one for one in alone)
    assert all("ON CLUSTER main" in one for one in everywhere)
    assert all("ReplicatedReplacingMergeTree" in one for one in everywhere)


def test_an_applied_migration_is_not_applied_again():
    files = (Migration(1, "a", "SELECT 1;"), Migration(2, "b", "SELECT 2;\n-- c\nSELECT 3;"))
    row = b'{"version":1,"name":"a","digest":"%s"}' % files[0].digest.encode()
    engine: Any = Tables(row)
    assert migrate(engine, files=files) == 1
    assert engine.statements[1:3] == ["SELECT 2", "SELECT 3"]


@pytest.mark.parametrize(
    "row",
    [b'{"version":1,"name":"a","digest":"other"}', b'{"version":9,"name":"z","digest":"d"}'],
)
def test_altered_or_unknown_migrations_are_refused(row):
    with pytest.raises(SchemaError):
        migrate(cast(Any, Tables(row)), files=(Migration(1, "a", "SELECT 1;"),))
