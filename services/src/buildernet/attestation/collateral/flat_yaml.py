# SPDX-License-Identifier: MIT
"""The part of YAML that collateral files of other projects use: one mapping of names to texts.

Each value is a block (`|`, `|-`, `>-`) indented by blanks, or text in double quotes on one line.
Everything else is refused rather than guessed at.

Reference:
    YAML 1.2.2, sections 8.1.2 and 8.1.3 (block scalars).
"""

import json
import re
from typing import Final

from buildernet.attestation.errors import CollateralError

_KEY: Final = re.compile(r"([a-z][a-z0-9_]*): *(.*)")
_FOLDED: Final = (">", ">-")
_LITERAL: Final = ("|", "|-")


def parse_flat_yaml(text: str) -> dict[str, str]:
    """Parse a flat mapping; final line breaks of blocks are dropped.

    Raises:
        CollateralError: another kind of YAML, or a key given twice.
    """
    values: dict[str, str] = {}
    lines = text.split("\n")
    position = 0
    while position < len(lines):
        line = lines[position]
        position += 1
        if not line.strip() or line.startswith("#"):
            continue
        match = _KEY.fullmatch(line.rstrip())
        if match is None or match[1] in values:
            raise CollateralError(f"line {position} is not `name: value` with a new name")
        if match[2] in (*_LITERAL, *_FOLDED):
            end = _block_end(lines, position)
            block = [inner.strip() for inner in lines[position:end]]
            values[match[1]] = ("\n" if match[2] in _LITERAL else " ").join(block).strip()
            position = end
        else:
            values[match[1]] = _quoted(match[2], position)
    return values


def _block_end(lines: list[str], start: int) -> int:
    end = start
    while end < len(lines) and (not lines[end].strip() or lines[end].startswith(" ")):
        end += 1
    return end


def _quoted(text: str, line: int) -> str:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, str):
        raise CollateralError(f"line {line}: value is neither a block nor in double quotes")
    return value
