# SPDX-License-Identifier: MIT
"""Command `builder-hub`: the registry, its database and its keys."""

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from buildernet.base import command, config, logs

if TYPE_CHECKING:
    from buildernet.builder_hub.config import HubConfig

_EXAMPLES: Final = """\
examples:
  builder-hub --disable-admin-auth                 # a trial: SQLite in this folder
  builder-hub serve --config /etc/buildernet/builder-hub.toml
  POSTGRES_DSN=postgres://hub@localhost/hub ADMIN_BASIC_PASSWORD_BCRYPT='$2b$…' \\
      builder-hub --secrets-key-file /etc/buildernet/builder-hub.keys
  builder-hub migrate --postgres-dsn postgres://hub@localhost/hub
  builder-hub new-key 2026-01 > keys && chmod 0600 keys
  builder-hub hash-password > password-hash        # asks for it

A flag wins over the environment, the environment over the file, the file over the defaults.
Without a verb it serves.
"""

_VERBS: Final = {
    "serve": "serve the instance, internal, admin and metrics listeners",
    "migrate": "bring the database to this version's schema, and end",
    "rotate-secrets": "encrypt all secrets with the first key of the key file, and end",
}

_MAX_PASSWORD_INPUT: Final = 4096


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    arguments = command.parse(_parser(), argv, rewrite=_with_verb)
    run = {
        "serve": _serve,
        "migrate": _migrate,
        "rotate-secrets": _rotate,
        "new-key": _new_key,
        "hash-password": _hash_password,
    }[arguments.verb]
    return command.run(lambda: run(arguments), program="builder-hub", debug=arguments.debug)


def _with_verb(argv: Sequence[str]) -> list[str]:
    """Put `serve` in front of bare flags, as the reference's command takes them."""
    bare = not argv or (argv[0].startswith("-") and argv[0] not in ("-h", "--help"))
    return ["serve", *argv] if bare else list(argv)


def _serve(arguments: argparse.Namespace) -> None:
    # Here, so that --help and a wrong flag answer at once on a slow processor.
    import uvloop

    from buildernet.builder_hub.running import run_hub

    settings = _settings(arguments)
    logs.configure(as_json=settings.logging.log_json, debug=settings.logging.log_debug)
    uvloop.run(run_hub(settings))


def _migrate(arguments: argparse.Namespace) -> None:
    from buildernet.builder_hub.database import Database, parse_database_url
    from buildernet.builder_hub.database_start import require_database
    from buildernet.builder_hub.migrate import migrate
    from buildernet.builder_hub.running import resolve

    async def run() -> tuple[str | None, str]:
        database = Database(parse_database_url(resolve(_settings(arguments)).database_url))
        try:
            await require_database(database)
            return await migrate(database)
        finally:
            await database.close()

    before, after = asyncio.run(run())
    print(f"schema {after}, as before" if before == after else f"schema {before} -> {after}")


def _rotate(arguments: argparse.Namespace) -> None:
    from buildernet.builder_hub.documents import rotate_secrets
    from buildernet.builder_hub.journal import Actor, write_audit
    from buildernet.builder_hub.running import opened, resolve

    async def run() -> int:
        async with opened(resolve(_settings(arguments))) as hub, hub.transaction() as connection:
            count = await rotate_secrets(connection, sealer=hub.sealer)
            who = Actor("builder-hub rotate-secrets", "")
            detail = {"documents": count}
            await write_audit(
                connection, who, "secrets_rotated", "hub", at_ms=hub.now_ms, detail=detail
            )
            return count

    print(f"{asyncio.run(run())} documents encrypted anew")


def _new_key(arguments: argparse.Namespace) -> None:
    from buildernet.builder_hub.sealing import new_key, parse_keys

    line = new_key(arguments.name)
    parse_keys(line)
    print(line, end="")


def _hash_password(arguments: argparse.Namespace) -> None:
    import bcrypt

    from buildernet.base.errors import UsageError
    from buildernet.builder_hub.basic_auth import MAX_PASSWORD_BYTES

    password = _read_password().encode()
    if not 1 <= len(password) <= MAX_PASSWORD_BYTES:
        raise UsageError(f"a password has 1 to {MAX_PASSWORD_BYTES} bytes, on one line")
    print(bcrypt.hashpw(password, bcrypt.gensalt(rounds=arguments.rounds)).decode())


def _read_password() -> str:
    """Ask a person twice without showing it; a script writes one line."""
    if not sys.stdin.isatty():
        return sys.stdin.readline(_MAX_PASSWORD_INPUT).rstrip("\n")
    import getpass

    from buildernet.base.errors import UsageError

    password = getpass.getpass("Password: ")
    if getpass.getpass("Again: ") != password:
        raise UsageError("the two passwords differ")
    return password


def _settings(arguments: argparse.Namespace) -> "HubConfig":
    from buildernet.builder_hub.argv_secrets import refuse_password, warnings
    from buildernet.builder_hub.config import HubConfig
    from buildernet.builder_hub.flags import ENVIRONMENT_PREFIX, settings

    refuse_password(arguments)
    for text in warnings(arguments):
        sys.stderr.write(f"builder-hub: warning: {text}\n")
    return config.load(
        HubConfig,
        path=arguments.config,
        prefix=ENVIRONMENT_PREFIX,
        environment=os.environ,
        overrides=settings(arguments, os.environ),
    )


def _parser() -> argparse.ArgumentParser:
    from buildernet.base.flags import add_verb
    from buildernet.builder_hub.flags import FLAGS

    parser = argparse.ArgumentParser(
        prog="builder-hub",
        description="The registry of a BuilderNet network; runs outside the TEE.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for verb, text in _VERBS.items():
        add_verb(verbs, verb, text, FLAGS)
    text = "print a new line for the key file"
    sub = verbs.add_parser("new-key", help=text, description=text)
    sub.add_argument("name", nargs="?", default="first", help="name of the key (default: first)")
    sub.set_defaults(debug=False)
    text = "ask for a password, or read it from standard input, and print its bcrypt hash"
    sub = verbs.add_parser("hash-password", help=text, description=text)
    sub.add_argument("--rounds", type=int, default=12, choices=range(4, 17), help="bcrypt's cost")
    sub.set_defaults(debug=False)
    return parser
