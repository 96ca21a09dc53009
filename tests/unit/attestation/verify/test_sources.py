# SPDX-License-Identifier: MIT
"""A file that a setting names is the setting's mistake, whatever is wrong with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from buildernet.attestation.verify.sources import find_collateral
from buildernet.base.errors import EXIT_USAGE, ConfigError

if TYPE_CHECKING:
    from pathlib import Path


async def _no_fetch(url: str, *, limit: int) -> tuple[bytes, dict[str, str]]:
    raise AssertionError(url, limit)


@pytest.mark.parametrize("content", [None, b"", b"{}", b"\xff", b'{"schema": 1}'])
def test_unusable_collateral_is_a_configuration_error(
    tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "collateral.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"collateral\.json") as caught:
        find_collateral(bundle=path, pccs_url=None, fetch=_no_fetch, store=None)
    assert caught.value.exit_code == EXIT_USAGE
