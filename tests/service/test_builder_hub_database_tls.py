# SPDX-License-Identifier: MIT
"""TLS to PostgreSQL under a CA of the operator's own, which no list of public ones holds."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from sqlalchemy import text

from buildernet.attested_proxy.certificate import make_identity
from buildernet.builder_hub.database import Database, parse_database_url
from tests.support.postgres import Postgres, running_postgres

pytestmark = pytest.mark.process

ADDRESS = f"127.77.{os.getpid() >> 8 & 255}.{os.getpid() & 255}"
"""An address of the loopback interface where no other PostgreSQL listens."""


def certify(folder: Path) -> Path:
    """Write a key and a certificate that is its own CA; return the certificate's file."""
    identity = make_identity([ADDRESS], now=datetime.now(UTC))
    folder.mkdir(exist_ok=True)
    (folder / "ca.key").touch(mode=0o600)
    (folder / "ca.key").write_bytes(
        identity.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    (folder / "ca.crt").write_bytes(identity.pem)
    return folder / "ca.crt"


@pytest.fixture
def encrypted() -> Iterator[Postgres]:
    """A cluster that offers TLS."""
    with running_postgres(address=ADDRESS) as cluster:
        certify(cluster.folder)
        owner = cluster.sockets.stat()
        os.chown(cluster.folder / "ca.key", owner.st_uid, owner.st_gid)
        yield cluster


async def test_ca_of_the_operator_is_believed_and_no_other(
    encrypted: Postgres, tmp_path: Path
) -> None:
    for name, value in (("cert", "ca.crt"), ("key", "ca.key")):
        await encrypted.run(f"ALTER SYSTEM SET ssl_{name}_file = '{encrypted.folder / value}'")
    await encrypted.run("ALTER SYSTEM SET ssl = on")
    await encrypted.run("SELECT pg_reload_conf()")
    certify(tmp_path / "other")
    url = f"postgres://hub@{ADDRESS}/postgres?sslmode=verify-full&sslrootcert="

    database = Database(parse_database_url(f"{url}{encrypted.folder / 'ca.crt'}"))
    async with database.transaction() as connection:
        query = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
        assert (await connection.execute(text(query))).scalar() is True
    await database.close()

    database = Database(parse_database_url(f"{url}{tmp_path / 'other/ca.crt'}"))
    assert await database.ping() == "SSLCertVerificationError"
    await database.close()
