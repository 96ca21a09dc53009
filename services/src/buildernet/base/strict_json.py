# SPDX-License-Identifier: MIT
"""JSON that reads the same for everybody: no object names a member twice."""

import json
from typing import Any


# Any: JSON values.
def parse_json(data: bytes | str) -> Any:
    """Read a document; the caller bounds its size.

    Raises:
        ValueError: It is no JSON, or has a member twice, also in another case: Go's readers do not
            mind the case and take the last.
        RecursionError: It is nested without end.
    """
    return json.loads(data, object_pairs_hook=_once)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({name.lower() for name, _ in pairs}) != len(pairs):
        raise ValueError("a member is given twice")
    return dict(pairs)
