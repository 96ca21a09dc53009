# SPDX-License-Identifier: MIT
"""What every handler needs, in one value that tests build with parts of their own."""

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Final

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncConnection

from buildernet.builder_hub.config import HubConfig
from buildernet.builder_hub.credentials import Challenges
from buildernet.builder_hub.database import Database
from buildernet.builder_hub.evidence import EvidenceVerifier
from buildernet.builder_hub.identity import Network, parse_networks
from buildernet.builder_hub.metrics import HubMetrics
from buildernet.builder_hub.sealing import Sealer

_MS: Final = 1000


@dataclass(slots=True)
class Drain:
    """Whether an operator wants a load balancer to send requests elsewhere."""

    is_drained: bool = False


@dataclass(frozen=True, slots=True)
class Hub:
    """The hub's parts."""

    config: HubConfig
    database: Database
    sealer: Sealer
    verifier: EvidenceVerifier
    metrics: HubMetrics
    clock: Callable[[], float] = time.time
    drain: Drain = field(default_factory=Drain)

    @property
    def trusted(self) -> Sequence[Network]:
        """Whose headers are believed."""
        return parse_networks(self.config.attestation.trusted_proxies)

    @property
    def challenges(self) -> Challenges:
        """Makes and checks challenges."""
        return Challenges(self.sealer.challenge_key(), self.clock)

    @property
    def now_ms(self) -> int:
        """Unix time in milliseconds."""
        return int(self.clock() * _MS)

    def transaction(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """Give a transaction: `Database.transaction`."""
        return self.database.transaction()

    async def check_database(self) -> str | None:
        """Return why the database cannot be used, and keep its metric up to date."""
        cause = await self.database.ping()
        self.metrics.database_up.set(cause is None)
        return cause


HUB: Final = web.AppKey("hub", Hub)
