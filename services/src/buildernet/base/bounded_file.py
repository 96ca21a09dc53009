# SPDX-License-Identifier: MIT
"""Reading a file that someone named: whole, but never more than a limit, and with our error."""

from pathlib import Path

from buildernet.base.errors import BuildernetError, ConfigError


def read_file(path: Path, *, limit: int, error: type[BuildernetError] = ConfigError) -> bytes:
    """Read a whole file.

    Args:
        path: A file, or anything that reads like one.
        limit: Bytes; a larger file is refused, not cut.
        error: What to raise; it takes one line of text.

    Raises:
        BuildernetError: Of the kind `error`: the file cannot be read or is larger than `limit`.
    """
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as exc:
        raise error(f"cannot read {path}: {exc.strerror}") from exc
    if len(data) > limit:
        raise error(f"{path} is larger than {limit} bytes")
    return data
