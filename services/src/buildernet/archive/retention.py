# SPDX-License-Identifier: MIT
"""How long rows are kept: a property of the tables, changed only when the setting did."""

import json
import logging
from typing import Final

from buildernet.archive.engine import Engine
from buildernet.archive.tables import TABLES

_CURRENT: Final = (
    "SELECT engine_full FROM system.tables"
    " WHERE database = currentDatabase() AND name = {name:String}"
)

_log = logging.getLogger(__name__)


def apply_retention(engine: Engine, *, months: int, cluster: str | None = None) -> None:
    """Let the engine remove rows older than so many months; 0 keeps them all.

    Whole parts are removed, so a row may stay until the youngest of its part is old enough.

    Raises:
        EngineError: The engine refused.
    """
    everywhere = f" ON CLUSTER {cluster}" if cluster else ""
    for name in TABLES:
        (line,) = engine.query(_CURRENT, {"name": name}).splitlines()
        current = json.loads(line)["engine_full"]
        wanted = f"TTL toDateTime(received_at) + toIntervalMonth({months})"
        if months and wanted not in current:
            engine.execute(
                f"ALTER TABLE {name}{everywhere} MODIFY {wanted}"
                " SETTINGS materialize_ttl_after_modify = 1"
            )
            engine.execute(f"ALTER TABLE {name}{everywhere} MODIFY SETTING ttl_only_drop_parts = 1")
            _log.info("retention_changed table=%s months=%d", name, months)
        elif not months and " TTL " in current:
            engine.execute(f"ALTER TABLE {name}{everywhere} REMOVE TTL")
            _log.info("retention_removed table=%s", name)
