# SPDX-License-Identifier: MIT
"""Reads values and shell functions from BitBake metadata as text, where BitBake is not at hand."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

LAYER: Final = Path(__file__).resolve().parents[2] / "layers/meta-buildernet"


def assigned(path: Path, name: str) -> str:
    """The words that a file assigns or adds to a variable.

    Raises:
        LookupError: It does neither.
    """
    return _value(path, rf"{re.escape(name)} \??\+?=")


def appended(path: Path, name: str) -> str:
    """What a file appends to a variable; empty when it does not."""
    try:
        return _value(path, rf"{re.escape(name)}:append =")
    except LookupError:
        return ""


def _value(path: Path, operation: str) -> str:
    joined = path.read_text().replace("\\\n", " ")
    found = re.search(rf'^{operation} "([^"]*)"', joined, re.MULTILINE)
    if found is None:
        raise LookupError(f"{path}: nothing matches {operation}")
    return " ".join(found[1].split())


def functions_of(path: Path) -> str:
    """The shell functions of a file, callable in any shell."""
    found = re.findall(r"^([\w:-]+)\(\) \{\n(.*?)^\}$", path.read_text(), re.MULTILINE | re.DOTALL)
    return "".join(f"{name.replace(':', '_')}() {{\n{body}}}\n" for name, body in found)


def own_recipes(prefix: str) -> dict[str, str]:
    """Version of every recipe of the Yocto flavour with this prefix, by the rest of its name."""
    found = {}
    for path in LAYER.glob(f"oe/recipes-*/*/{prefix}*_*.bb"):
        name, _, version = path.stem.removeprefix(prefix).rpartition("_")
        found[name] = version
    return found
