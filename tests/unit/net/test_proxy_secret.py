# SPDX-License-Identifier: MIT
from pathlib import Path

import pytest

from buildernet.base.errors import ConfigError
from buildernet.net.proxy_secret import read_proxy_secret

SECRET = "0123456789abcdef" * 4


def test_the_secret_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text(f"{SECRET}\n")
    path.chmod(0o640)
    assert read_proxy_secret(path) == SECRET
    path.chmod(0o644)
    with pytest.raises(ConfigError, match="everybody can read"):
        read_proxy_secret(path)


@pytest.mark.parametrize(
    "text", ["", "short", "x" * 257, "a b" * 20, f"{SECRET}\n{SECRET}", "é" * 40]
)
def test_anything_else_is_refused_and_not_repeated(tmp_path: Path, text: str) -> None:
    path = tmp_path / "secret"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(ConfigError, match="does not hold 32 to 256") as error:
        read_proxy_secret(path)
    assert not text or text not in str(error.value)
    with pytest.raises(ConfigError, match="cannot read"):
        read_proxy_secret(tmp_path / "none")
