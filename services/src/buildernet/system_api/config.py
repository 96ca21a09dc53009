# SPDX-License-Identifier: MIT
"""Configuration of system-api: the keys of its public predecessor, as far as they exist yet."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from buildernet.base import paths
from buildernet.base.config import require_ranges
from buildernet.net.address import ListenAddress

ENVIRONMENT_PREFIX: Final = "SYSTEM_API_"

_MAX_LOG_ENTRIES: Final = 10_000
"""A log full of longest events then takes 40 MiB; the unit's MemoryMax is 128 MiB."""

_TIMEOUT_RANGE_MS: Final = (100, 600_000)
"""No client needs more than ten minutes, and none can be served in less than a tenth second."""


@dataclass(frozen=True, slots=True)
class General:
    """Table `[general]`."""

    listen_addr: str = "0.0.0.0:3535"
    """HOST:PORT to listen on."""
    pipe_file: Path = paths.SYSTEM_API_FIFO
    """FIFO that takes one event per line; made when missing."""
    log_json: bool = True
    """Own log as JSON lines; false for a person at a terminal."""
    log_debug: bool = False
    """Own log with one line per request."""
    log_max_entries: int = 1000
    """Events kept; the oldest goes first."""
    http_read_timeout_ms: int = 15_000
    """A connection may be idle, or sending its headers, for this long."""
    http_write_timeout_ms: int = 15_000
    """A request may take this long, its body and its answer included."""
    measured_boot_dir: Path = paths.MEASURED_BOOT_DIR
    """Where `buildernet-node measured-boot` leaves its files."""

    def __post_init__(self) -> None:
        """Check ranges.

        Raises:
            ConfigError: A value is out of its range.
        """
        ListenAddress.parse(self.listen_addr)
        require_ranges(self, log_max_entries=(1, _MAX_LOG_ENTRIES))
        low, high = _TIMEOUT_RANGE_MS
        require_ranges(
            self,
            http_read_timeout_ms=(low, high),
            http_write_timeout_ms=(low, high),
        )


@dataclass(frozen=True, slots=True)
class SystemApiConfig:
    """The whole file."""

    general: General = field(default_factory=General)
