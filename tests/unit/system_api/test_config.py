# SPDX-License-Identifier: MIT
import pytest

from buildernet.base import config
from buildernet.base.errors import ConfigError
from buildernet.system_api.config import ENVIRONMENT_PREFIX, SystemApiConfig


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("LISTEN_ADDR", "nowhere"),
        ("LOG_MAX_ENTRIES", "0"),
        ("LOG_MAX_ENTRIES", "10001"),
        ("HTTP_READ_TIMEOUT_MS", "0"),
        ("HTTP_WRITE_TIMEOUT_MS", "600001"),
    ],
)
def test_values_out_of_range_are_refused(name, text):
    environment = {f"{ENVIRONMENT_PREFIX}GENERAL_{name}": text}
    with pytest.raises(ConfigError):
        config.load(SystemApiConfig, prefix=ENVIRONMENT_PREFIX, environment=environment)
