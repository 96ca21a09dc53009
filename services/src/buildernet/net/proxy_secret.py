# SPDX-License-Identifier: MIT
"""What an attested proxy shows the service behind it, so that its other headers are believed.

An address says which machine a connection comes from, not which program. A secret that only the two
can read does.
"""

import re
from pathlib import Path
from typing import Final

from buildernet.base.bounded_file import read_file
from buildernet.base.errors import ConfigError

HEADER: Final = "X-BuilderNet-Proxy-Secret"

_MAX_FILE_BYTES: Final = 1024
_SECRET: Final = re.compile(r"[!-~]{32,256}")
_OTHERS: Final = 0o007


def read_proxy_secret(path: Path) -> str:
    """Read the secret.

    Raises:
        ConfigError: The file cannot be read, others than owner and group can read it, or it does
            not hold 32 to 256 characters of ASCII without blanks. The message holds none of them.
    """
    text = read_file(path, limit=_MAX_FILE_BYTES).decode("ascii", "replace").strip()
    if path.stat().st_mode & _OTHERS:
        raise ConfigError(f"everybody can read {path}", hint=f"chmod o= {path}")
    if _SECRET.fullmatch(text) is None:
        raise ConfigError(
            f"{path} does not hold 32 to 256 characters without blanks",
            hint=f"openssl rand -hex 32 > {path}",
        )
    return text
