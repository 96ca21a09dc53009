# SPDX-License-Identifier: MIT
"""The sender's key comes from a file; from the environment it comes with a warning."""

from pathlib import Path

import pytest

from buildernet.base.errors import ConfigError
from buildernet.ethereum.signature import SigningKey
from buildernet.orderflow_proxy.sender_config import KEY_VARIABLE, SenderConfig, load_key

SECRET = "0x" + "4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318"


def test_key_in_the_environment_is_taken_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    key = load_key(SenderConfig(), {KEY_VARIABLE: SECRET})
    assert key.address == SigningKey.parse(SECRET).address
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert record.getMessage() == (
        "secret_in_environment variable=ORDERFLOW_SIGNER_KEY use=signing_key_file"
    )


def test_key_in_a_file_is_taken_silently(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "key"
    path.write_text(SECRET)
    path.chmod(0o600)
    key = load_key(SenderConfig(signing_key_file=path), {KEY_VARIABLE: "0x12"})
    assert key.address == SigningKey.parse(SECRET).address
    assert caplog.records == []


def test_a_hub_on_another_machine_is_asked_by_https() -> None:
    with pytest.raises(ConfigError, match="unencrypted"):
        SenderConfig(hub_endpoint="http://192.0.2.1:8082")
    SenderConfig(hub_endpoint="https://192.0.2.1:8082")
    SenderConfig(hub_endpoint="http://192.0.2.1:8082", dangerously_plain=True)
