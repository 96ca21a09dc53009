# SPDX-License-Identifier: MIT
"""Brings the tables to this program's version: numbered SQL files, each applied once.

A file that was applied must never change: its digest is kept beside its number. The statements are
written so that one that was interrupted can run again (`IF NOT EXISTS`): the engine has no
transactions over table definitions.
"""

import hashlib
import json
import logging
import re
from dataclasses import dataclass
from importlib import resources
from string import Template
from typing import Final

from buildernet.archive.engine import Engine
from buildernet.archive.errors import SchemaError

_FILE: Final = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")
_COMMENT: Final = re.compile(r"^\s*--.*$", re.MULTILINE)
_END_OF_STATEMENT: Final = re.compile(r";\s*$", re.MULTILINE)

_TABLE: Final = Template(
    "CREATE TABLE IF NOT EXISTS schema_migrations $ON_CLUSTER"
    " (version UInt32, name String, digest String, applied_at DateTime DEFAULT now())"
    " ENGINE = $ENGINE ORDER BY version"
)
_APPLIED: Final = "SELECT version, name, digest FROM schema_migrations FINAL ORDER BY version"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Migration:
    """One file."""

    version: int
    name: str
    text: str

    @property
    def digest(self) -> str:
        """SHA-256 of the text, in hexadecimal digits."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    def statements(self, *, cluster: str | None) -> list[str]:
        """Return its statements for a single server, or for every replica of a cluster."""
        text = _COMMENT.sub("", Template(self.text).substitute(_placeholders(cluster)))
        return [part.strip() for part in _END_OF_STATEMENT.split(text) if part.strip()]


def load_migrations() -> tuple[Migration, ...]:
    """Return the files that ship with this package, in order."""
    found = []
    for file in resources.files("buildernet.archive").joinpath("sql").iterdir():
        if match := _FILE.fullmatch(file.name):
            found.append(Migration(int(match[1]), match[2], file.read_text(encoding="utf-8")))
    return tuple(sorted(found, key=lambda migration: migration.version))


def migrate(
    engine: Engine, *, cluster: str | None = None, files: tuple[Migration, ...] | None = None
) -> int:
    """Apply what is missing; returns the number of files applied.

    Raises:
        SchemaError: An applied file is unknown here or was altered since.
        EngineError: A statement failed; the next start goes on with it.
    """
    known = load_migrations() if files is None else files
    engine.execute(_TABLE.substitute(_placeholders(cluster)))
    done = _applied(engine)
    for version, (name, digest) in done.items():
        match = next((file for file in known if file.version == version), None)
        if match is None:
            raise SchemaError(
                f"the tables have migration {version} ({name}), which this program does not know",
                hint="run the newer version of the archive that made them",
            )
        if match.digest != digest:
            raise SchemaError(f"migration {version} ({name}) was altered after it was applied")
    missing = [file for file in known if file.version not in done]
    for file in missing:
        for statement in file.statements(cluster=cluster):
            engine.execute(statement)
        # Name and digest are ours: letters, digits and underscores only.
        engine.execute(
            "INSERT INTO schema_migrations (version, name, digest)"  # noqa: S608
            f" VALUES ({file.version}, '{file.name}', '{file.digest}')"
        )
        _log.info("migration_applied version=%d name=%s", file.version, file.name)
    return len(missing)


def _applied(engine: Engine) -> dict[int, tuple[str, str]]:
    rows = [json.loads(line) for line in engine.query(_APPLIED, {}).splitlines()]
    return {int(row["version"]): (row["name"], row["digest"]) for row in rows}


def _placeholders(cluster: str | None) -> dict[str, str]:
    if cluster is None:
        return {"ENGINE": "ReplacingMergeTree", "ON_CLUSTER": ""}
    return {"ENGINE": "ReplicatedReplacingMergeTree", "ON_CLUSTER": f"ON CLUSTER {cluster}"}
