# SPDX-License-Identifier: MIT
"""The kas files: valid by kas's own schema, and nothing in them follows a branch."""

from __future__ import annotations

import json
import re
from importlib import resources
from pathlib import Path
from typing import Any, Final

import jsonschema
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
    schema = json.loads(resources.files("kas").joinpath("schema-kas.json").read_text())
    jsonschema.validate(loaded(path), schema)


@pytest.mark.parametrize("path", KAS_FILES, ids=lambda path: path.name)
def test_repositories_are_pinned_by_commit_and_fetched_by_https(path: Path) -> None:
    remote = {name: r for name, r in loaded(path).get("repos", {}).items() if r and "url" in r}
    floating = [name for name, r in remote.items() if not COMMIT.fullmatch(r.get("commit", ""))]
    assert floating == []
    assert [name for name, r in remote.items() if not r["url"].startswith("https://")] == []


def test_yocto_flavour_has_the_three_repositories() -> None:
    remote = {name for name, repo in loaded(KAS_FILES[0])["repos"].items() if "url" in repo}
    assert remote == {"bitbake", "openembedded-core", "meta-openembedded"}
