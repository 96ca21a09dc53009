# SPDX-License-Identifier: MIT
"""`builder-hub` as a command: started bare, stopped by a signal, its keys and its schema."""

import asyncio
import http.client
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from io import StringIO
from pathlib import Path
from typing import Any

import bcrypt
import pytest

from buildernet.base.errors import ConfigError
from buildernet.builder_hub.builders import Builder, add_builder
from buildernet.builder_hub.cli import main
from buildernet.builder_hub.config import HubConfig, SecretsConfig
from buildernet.builder_hub.documents import get_secrets, set_secrets
from buildernet.builder_hub.migrate import newest
from buildernet.builder_hub.running import opened
from tests.support.builder_hub import KEYS
from tests.support.postgres import Postgres

pytestmark = pytest.mark.process

DEADLINE_S = 60.0
_MAIN = "import sys; from buildernet.builder_hub.cli import main; sys.exit(main())"
_ANY_PORT = [
    part
    for name in ("listen", "admin", "internal", "metrics")
    for part in (f"--{name}-addr", "127.0.0.1:0")
]
Launch = Callable[..., "HubProcess"]


Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    _root_logger: None,
) -> Run:
    """Run the command to its end, in this process; returns exit code and what it said."""
    monkeypatch.chdir(tmp_path)

    def _run(*arguments: str, stdin: str = "") -> tuple[int, str]:
        monkeypatch.setattr("sys.stdin", StringIO(stdin))
        code = main(arguments)
        captured = capsys.readouterr()
        return code, captured.out + captured.err

    return _run


class HubProcess:
    """A hub as systemd starts it; its ports: internal, admin, metrics, instance."""

    def __init__(self, folder: Path, *arguments: str, **environment: str) -> None:
        self.popen = subprocess.Popen(
            [sys.executable, "-c", _MAIN, *_ANY_PORT, "--log-json", *arguments],
            cwd=folder,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **environment},
        )
        assert self.popen.stderr is not None
        self.log: list[dict[str, Any]] = []
        self.ports: list[int] = []
        while len(self.ports) < 4:
            line = self.popen.stderr.readline()
            assert line, self.log
            self.log.append(json.loads(line))
            if self.log[-1]["msg"].startswith("listening "):
                self.ports.append(int(self.log[-1]["msg"].rpartition(":")[2]))

    def ask(self, port: int, method: str, path: str, body: Any = None) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_S)
        try:
            data = None if body is None else json.dumps(body)
            connection.request(method, path, data)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def admin(self, method: str, path: str, body: Any = None) -> tuple[int, bytes]:
        return self.ask(self.ports[1], method, f"/api/admin/v1{path}", body)

    def stop(self) -> int:
        """Stop as systemd does, and return the exit code."""
        started = time.monotonic()
        self.popen.send_signal(signal.SIGTERM)
        code = self.popen.wait(DEADLINE_S)
        assert time.monotonic() - started < 10
        return code


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Launch]:
    started: list[HubProcess] = []

    def start(*arguments: str, **environment: str) -> HubProcess:
        started.append(HubProcess(tmp_path, *arguments, **environment))
        return started[-1]

    yield start
    for process in started:
        process.popen.kill()
        process.popen.communicate()


def test_trial_needs_nothing_and_keeps_what_it_was_told(
    launch: Launch, run: Run, tmp_path: Path
) -> None:
    hub = launch("--disable-admin-auth")
    builder = {"name": "a", "ip_address": "1.1.1.1", "network": "production"}
    assert hub.admin("POST", "/builders", builder)[0] == 200
    assert hub.admin("POST", "/builders/secrets/a", {"key": "s3cret"})[0] == 200
    assert hub.ask(hub.ports[3], "GET", "/readyz")[0] == 200
    assert b"builder_hub_http_requests_total" in hub.ask(hub.ports[2], "GET", "/metrics")[1]
    assert hub.stop() == 0
    for name in ("builder-hub.keys", "builder-hub.sqlite"):
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o600
    assert b"s3cret" not in (tmp_path / "builder-hub.sqlite").read_bytes()
    again = launch(DISABLE_ADMIN_AUTH="true")
    status, document = again.admin("GET", "/builders/configuration/a/full")
    assert (status, json.loads(document)) == (200, {"key": "s3cret"})
    assert again.stop() == 0
    assert not any("s3cret" in entry["msg"] for entry in [*hub.log, *again.log])
    (tmp_path / "builder-hub.keys").unlink()
    code, said = run("--disable-admin-auth")
    assert (code, "key file" in said) == (1, True)
    assert not (tmp_path / "builder-hub.keys").exists()


async def test_secrets_in_memory_are_gone_with_the_process(sqlite_database: str) -> None:
    config = HubConfig(database_url=sqlite_database, secrets=SecretsConfig(in_memory=True))
    async with opened(config) as hub, hub.transaction() as connection:
        await add_builder(connection, Builder("a", "1.1.1.1", None, "n"), at_ms=1)
        await set_secrets(connection, "a", b"{}", sealer=hub.sealer, at_ms=1)
        assert await get_secrets(connection, "a", sealer=hub.sealer) == b"{}"
    async with opened(config) as hub, hub.transaction() as connection:
        assert await get_secrets(connection, "a", sealer=hub.sealer) is None


async def test_postgresql_needs_a_key_file(postgres: Postgres) -> None:
    name = await asyncio.to_thread(postgres.create)
    with pytest.raises(ConfigError, match="key_file"):
        async with opened(HubConfig(database_url=postgres.url(name))):
            pass


def test_schema_and_keys_are_commands_of_their_own(run: Run, tmp_path: Path) -> None:
    (tmp_path / "hub.toml").write_text(
        'database_url = "sqlite:///x.sqlite"\nmigrate_at_start = false\n'
        '[secrets]\nkey_file = "keys"\n'
    )
    (tmp_path / "keys").write_text(KEYS)
    (tmp_path / "keys").chmod(0o600)
    code, said = run("serve", "--config", "hub.toml", *_ANY_PORT)
    assert (code, "builder-hub migrate" in said) == (2, True)
    assert run("migrate", "--config", "hub.toml")[1].startswith(f"schema None -> {newest()}\n")
    assert run("migrate", "--config", "hub.toml")[1].startswith(f"schema {newest()}, as before\n")
    _, said = run("rotate-secrets", "--config", "hub.toml")
    assert said.startswith("0 documents encrypted anew\n")
    with closing(sqlite3.connect(tmp_path / "x.sqlite")) as database:
        (row,) = database.execute("SELECT actor, action, detail FROM audit").fetchall()
    assert row == ("builder-hub rotate-secrets", "secrets_rotated", '{"documents": 0}')


def test_password_and_key_are_made_by_the_command(run: Run) -> None:
    _, made = run("hash-password", "--rounds", "4", stdin="correct horse\n")
    assert bcrypt.checkpw(b"correct horse", made.strip().encode())
    assert run("hash-password", stdin="x" * 73)[0] == 2
    assert run("hash-password", stdin="")[0] == 2
    assert run("new-key", "2026")[1].startswith("2026 ")
    assert run("new-key", "no good")[0] == 1


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--admin-addr", "0.0.0.0:1", "--disable-admin-auth"], "loopback"),
        (["--postgres-dsn", "mysql://b/c"], "unknown kind of database"),
        (["--admin-basic-password-bcrypt", "s3cret"], "bcrypt"),
        (["--drain-seconds", "x"], "whole number"),
        (["--postgres-dsn", "postgres://a@/b?host=/nowhere"], "is the server running"),
        (["--postgres-dsn", "postgres://a:s3cret@b/c"], "list of processes"),
        (["--postgres-dsn", "postgres://a@b/c?password=s3cret"], "database_url_file"),
        (["--metrics-addr", "nowhere"], "nowhere"),
        (["--postgres-dsn", "postgres://a@127.0.0.1:1/b"], "127.0.0.1:1/b"),
        (["--postgres-dsn", "sqlite:///missing/x.sqlite"], "make the folder missing"),
        (["--postgres-dsn", "sqlite:////etc/hostname"], "no SQLite file"),
        (["--postgres-dsn", "sqlite:////etc"], "Is a directory"),
    ],
)
def test_unusable_setting_is_said_without_secrets(
    run: Run, arguments: list[str], text: str, tmp_path: Path
) -> None:
    code, said = run(*arguments)
    assert code in (1, 2)
    assert text in said
    assert "s3cret" not in said
    assert "Traceback" not in said
    assert list(tmp_path.iterdir()) == []  # nothing is made before the settings are known


def test_file_that_is_no_database_is_left_alone(run: Run, tmp_path: Path) -> None:
    for text in ("notes", "SQLite format 3\0 and then something else" * 100):
        (tmp_path / "notes").write_text(text)
        code, said = run("migrate", "--postgres-dsn", "sqlite:///notes")
        assert (code, "Traceback" in said) == (1, False), said
        assert "cannot use the database" in said
        assert (tmp_path / "notes").read_text() == text


@pytest.mark.parametrize(
    ("user", "name", "text"),
    [
        ("nobody-here", None, "nobody-here"),
        (None, "none", "createdb"),
        ("stranger", None, "permission denied"),
    ],
)
def test_wrong_role_or_database_is_one_line(
    postgres: Postgres, run: Run, tmp_path: Path, user: str | None, name: str | None, text: str
) -> None:
    made = postgres.create()
    if user == "stranger":
        asyncio.run(postgres.run("CREATE ROLE stranger LOGIN"))
    url = postgres.url(name or made)
    if user is not None:
        url = url.replace("postgres://hub@", f"postgres://{user}:s3cret@")
    (tmp_path / "url").write_text(url)
    (tmp_path / "url").chmod(0o600)
    (tmp_path / "hub.toml").write_text('database_url_file = "url"\n')
    code, said = run("migrate", "--config", "hub.toml")
    assert (code, "Traceback" in said, "s3cret" in said) == (1, False, False), said
    assert text in said
    assert len(said.splitlines()) <= 3, said


def test_a_person_is_asked_twice_without_echo(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter(["correct horse", "correct horse", "one", "other"])
    terminal = type("Terminal", (StringIO,), {"isatty": lambda _self: True})
    monkeypatch.setitem(globals(), "StringIO", terminal)
    monkeypatch.setattr("getpass.getpass", lambda _prompt: next(answers))
    _, made = run("hash-password", "--rounds", "4")
    assert bcrypt.checkpw(b"correct horse", made.strip().encode())
    code, said = run("hash-password")
    assert (code, "differ" in said) == (2, True)
