# SPDX-License-Identifier: MIT
"""Reads Parquet files, in a process of its own: the engine that reads them takes 300 MiB."""

import subprocess
import sys
from pathlib import Path

_READ = """
import sys, chdb
print(chdb.query(f"SELECT {sys.argv[2]} FROM file('{sys.argv[1]}', 'Parquet')", "CSV"))
"""


def count_parquet(path: Path, expression: str = "count()") -> int:
    """What an SQL expression gives over all rows of a file."""
    command = [sys.executable, "-c", _READ, str(path), expression]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr[-1000:]
    return int(done.stdout)
