# SPDX-License-Identifier: MIT
"""The kas files: valid by kas's own schema, and nothing in them follows a branch."""

from __future__ import annotations

import json
import re
from importlib import resources
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

ROOT: Final = Path(__file__).resolve().parents[2]
KAS_FILES: Final = [ROOT / "kas.yml", *sorted((ROOT / "kas").glob("*.yml"))]
COMMIT: Final = re.compile(r"[0-9a-f]{40}")


def loaded(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(path.read_text())
    return document


@pytest.mark.parametrize("path", KAS_FILES, ids=lambda path: path.name)
def test_kas_accepts_the_file(path: Path) -> None:
    import jsonschema  # a second, for this test alone

    schema = json.loads(resources.files("kas").joinpath("schema-kas.json").read_text())
    jsonschema.validate(loaded(path), schema)


LOCK: Final = ROOT / "kas.lock.yml"


@pytest.mark.parametrize("path", KAS_FILES, ids=lambda path: path.name)
def test_repositories_are_fetched_by_https(path: Path) -> None:
    remote = {name: r for name, r in loaded(path).get("repos", {}).items() if r and "url" in r}
    assert [name for name, r in remote.items() if not r["url"].startswith("https://")] == []


def test_yocto_flavour_has_the_three_repositories_each_locked_to_a_commit() -> None:
    remote = {name for name, repo in loaded(ROOT / "kas.yml")["repos"].items() if "url" in repo}
    assert remote == {"bitbake", "openembedded-core", "meta-openembedded"}
    locked = loaded(LOCK)["overrides"]["repos"]
    floating = [n for n in remote if not COMMIT.fullmatch(locked.get(n, {}).get("commit", ""))]
    assert floating == []
    assert set(locked) == remote


def overlays() -> list[Path]:
    return [path for path in KAS_FILES[1:] if path.name != "debian.yml"]


@pytest.mark.parametrize("path", overlays(), ids=lambda path: path.name)
def test_overlay_has_one_concern_and_brings_no_repository(path: Path) -> None:
    """What it sets stands under its own name, so that two overlays never replace each other."""
    overlay = loaded(path)
    assert set(overlay) <= {"header", "target", "env", "local_conf_header"}
    assert set(overlay.get("local_conf_header", {})) <= {path.stem}
    assert path.read_text().startswith("# SPDX-License-Identifier: MIT\n# Overlay for kas.yml: ")
