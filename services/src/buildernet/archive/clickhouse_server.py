# SPDX-License-Identifier: MIT
"""The engine on a ClickHouse server or cluster, over its HTTP interface."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import parse_qs, unquote, urlsplit

from buildernet.archive.engine import translate_error
from buildernet.archive.errors import EngineUnavailableError
from buildernet.base.errors import ConfigError

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

_CONNECT_SECONDS: Final = 10
_ANSWER_SECONDS: Final = 60
"""An insertion waits for the server's disk; a question ends earlier by its own limit."""

_DEFAULT_PORTS: Final = {"http": 8123, "https": 8443}
_PIECE_BYTES: Final = 256 * 1024
_EXAMPLE: Final = "example: https://archive@clickhouse.example:8443/buildernet?cluster=main"


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """Where a server is and what to use there."""

    secure: bool
    host: str
    port: int
    user: str
    database: str
    cluster: str | None
    """Name of a cluster whose replicas all get the tables; None for a single server."""

    @classmethod
    def parse(cls, url: str) -> Self:
        """Read `http[s]://USER@HOST[:PORT]/DATABASE[?cluster=NAME]`.

        Raises:
            ConfigError: It is anything else, or holds a password.
        """
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as exc:
            raise ConfigError(f"database_url: {exc}", hint=_EXAMPLE) from exc
        options = parse_qs(parts.query)
        database = unquote(parts.path.strip("/")) or "default"
        clusters = options.pop("cluster", [None])
        if parts.scheme not in _DEFAULT_PORTS or not parts.hostname or options:
            raise ConfigError("database_url is no URL of a ClickHouse server", hint=_EXAMPLE)
        if parts.password is not None:
            raise ConfigError(
                "database_url holds a password", hint="put it into a file: database_password_file"
            )
        for name in (database, clusters[0] or "x"):
            if not name.isidentifier() or not name.isascii():
                raise ConfigError(f"database_url: {name[:60]!r} is no plain name", hint=_EXAMPLE)
        return cls(
            secure=parts.scheme == "https",
            host=parts.hostname,
            port=port or _DEFAULT_PORTS[parts.scheme],
            user=unquote(parts.username or "default"),
            database=database,
            cluster=clusters[0],
        )


class ServerEngine:
    """One client of a server."""

    def __init__(self, address: ServerAddress, *, password: str) -> None:
        """Connect, and make the database when it is missing.

        Args:
            address: The server.
            password: The user's.

        Raises:
            EngineUnavailableError: It does not answer or refuses the user.
        """
        first = _connect(address, password, database="default")
        try:
            everywhere = f" ON CLUSTER {address.cluster}" if address.cluster else ""
            first.command(f"CREATE DATABASE IF NOT EXISTS {address.database}{everywhere}")
        except _client_error() as exc:
            raise translate_error(exc) from exc
        finally:
            first.close()
        self._client = _connect(address, password, database=address.database)

    def execute(self, statement: str) -> None:
        """See `Engine`."""
        try:
            self._client.command(statement)
        except _client_error() as exc:
            raise translate_error(exc) from exc

    def insert(self, table: str, columns: Sequence[str], rows: bytes) -> None:
        """See `Engine`."""
        try:
            self._client.raw_insert(table, columns, rows, fmt="RowBinary")
        except _client_error() as exc:
            raise translate_error(exc) from exc

    def query(self, statement: str, parameters: Mapping[str, str | int]) -> bytes:
        """See `Engine`."""
        try:
            return self._client.raw_query(statement, dict(parameters), fmt="JSONEachRow")
        except _client_error() as exc:
            raise translate_error(exc) from exc

    def stream(
        self, statement: str, parameters: Mapping[str, str | int], output: str
    ) -> Iterator[bytes]:
        """See `Engine`."""
        try:
            with self._client.raw_stream(statement, dict(parameters), fmt=output) as source:
                while piece := source.read(_PIECE_BYTES):
                    yield piece
        except _client_error() as exc:
            raise translate_error(exc) from exc

    def close(self) -> None:
        """See `Engine`."""
        self._client.close()


def _connect(address: ServerAddress, password: str, *, database: str) -> "Client":
    try:
        import clickhouse_connect
    except ImportError as exc:
        raise EngineUnavailableError(
            f"the client of ClickHouse is not installed: {exc}", hint="install buildernet[archive]"
        ) from exc
    try:
        return clickhouse_connect.get_client(
            host=address.host,
            port=address.port,
            username=address.user,
            password=password,
            database=database,
            secure=address.secure,
            compress=False,
            connect_timeout=_CONNECT_SECONDS,
            send_receive_timeout=_ANSWER_SECONDS,
            # Several clients of one process: a session would refuse statements side by side.
            autogenerate_session_id=False,
        )
    except _client_error() as exc:
        error = translate_error(exc)
        if isinstance(error, EngineUnavailableError):
            raise error from exc
        raise EngineUnavailableError(str(error)) from exc


def _client_error() -> type[Exception]:
    from clickhouse_connect.driver.exceptions import Error

    return Error
