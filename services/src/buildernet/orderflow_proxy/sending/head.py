# SPDX-License-Identifier: MIT
"""The number of the newest block: asked from the node's own execution client, kept between answers.

Orders are retried until their block has passed, so somebody has to know which block is next. While
the client does not answer, nobody does: slots are missed. Then time alone ends an order. Being late
costs a useless request; being early would lose an order, so it errs late.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Final

from buildernet.base.errors import BuildernetError

SECONDS_PER_BLOCK: Final = 12.0

POLL_S: Final = 1.0
"""A head that is a second old keeps an order a second too long in a queue."""

FRESH_S: Final = SECONDS_PER_BLOCK
"""A younger answer is at most one block behind."""

FORGET_S: Final = 600.0
"""After so long without an answer the last one says nothing about how far a block is away."""

_log = logging.getLogger(__name__)

FetchBlockNumber = Callable[[], Awaitable[int]]


class ChainHead:
    """What is known about the newest block."""

    def __init__(self, *, clock: Callable[[], float] = monotonic) -> None:
        """Know nothing.

        Args:
            clock: Monotonic seconds.
        """
        self._clock = clock
        self._number: int | None = None
        self._answered_s = 0.0

    def learn(self, number: int) -> None:
        """Take an answer; a lower number (a reorganisation, another client) is taken too."""
        self._number, self._answered_s = number, self._clock()

    def number(self) -> int | None:
        """Return the last answer; None before the first one or `FORGET_S` later."""
        return self._within(FORGET_S)

    def fresh(self) -> int | None:
        """Return the newest block; None while the client is silent."""
        return self._within(FRESH_S)

    def _within(self, seconds: float) -> int | None:
        return self._number if self._clock() - self._answered_s <= seconds else None

    async def follow(
        self,
        fetch: FetchBlockNumber | None,
        *,
        on_block: Callable[[], None],
    ) -> None:
        """Ask again and again; runs until cancelled.

        Args:
            fetch: One `eth_blockNumber`; raises BuildernetError when there is no answer. None:
                nobody can be asked, only `on_block` is called.
            on_block: Called after each answer with another number, and as long as there is none.
        """
        answering = fetch is not None
        while True:
            before = self.number()
            try:
                if fetch is None:
                    raise BuildernetError("no execution client is configured")
                self.learn(await fetch())
            except BuildernetError as exc:
                if answering:
                    _log.warning("chain_head_unknown reason=%s", exc)
                answering = False
            else:
                if not answering:
                    _log.info("chain_head_known number=%s", self._number)
                answering = True
            if not answering or self.number() != before:
                on_block()
            await asyncio.sleep(POLL_S)
