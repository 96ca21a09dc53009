# SPDX-License-Identifier: MIT
"""The local builder: gets every order first, and decides whether the node is ready.

JSON-RPC over plain HTTP on this machine, signed with the node's key as the Go proxy does. Its queue
never drops an order for a newer one: when it is full, the sender of the order is told.
"""

import asyncio
import logging
from http import HTTPStatus
from typing import Final

import aiohttp
import msgspec

from buildernet.net.errors import FetchError
from buildernet.net.fetch import read_bounded
from buildernet.net.http_url import parse_http_url
from buildernet.orderflow_proxy.order import DeliveryFullError, NotReadyError, Order
from buildernet.orderflow_proxy.sending.forms import JsonRpcForm
from buildernet.orderflow_proxy.sending.head import ChainHead
from buildernet.orderflow_proxy.sending.link import Link, LinkTimes
from buildernet.orderflow_proxy.sending.metrics import DeliveryMetrics, DestinationMetrics
from buildernet.orderflow_proxy.sending.parcel import Parcel
from buildernet.orderflow_proxy.sending.pool import Target

NAME: Final = "builder"

CONNECTIONS: Final = 16
"""A builder takes an order in well under a millisecond: more would only queue on its side."""

CONNECT_S: Final = 0.8
ANSWER_S: Final = 2.0
"""Both as FlowProxy has them for its builder."""

READY_POLL_S: Final = 1.0
READY_TIMEOUT_S: Final = 2.0

_log = logging.getLogger(__name__)


class Builder:
    """The link to the builder and what is known about its state."""

    def __init__(self, endpoint: str, *, head: ChainHead, metrics: DeliveryMetrics) -> None:
        """Prepare the link.

        Args:
            endpoint: http URL of its JSON-RPC.
            head: The chain's.
            metrics: Counts.

        Raises:
            ConfigError: The URL is no http URL.
        """
        parts = parse_http_url("builder.endpoint", endpoint)
        host, port = parts.hostname or "", parts.port or 80
        self.link = Link(
            NAME,
            target=Target(host, port, None),
            form=JsonRpcForm(host=parts.netloc, path=parts.path or "/"),
            head=head,
            metrics=DestinationMetrics(metrics, NAME),
            connections=CONNECTIONS,
            times=LinkTimes(connect_s=CONNECT_S, answer_s=ANSWER_S),
        )
        self._answer = "was not asked yet"

    def require_room(self, order: Order) -> None:
        """Raise unless an order can be queued.

        Raises:
            DeliveryFullError: It cannot.
        """
        if not self.link.outbox.has_room(order):
            raise DeliveryFullError("the builder does not keep up, try again")

    def put(self, parcel: Parcel) -> None:
        """Queue an order."""
        self.link.put(parcel)

    def check_ready(self) -> None:
        """Raise unless orders reach the builder.

        Raises:
            NotReadyError: It does not answer, or is not ready.
        """
        if self.link.reachable is False:
            raise NotReadyError("builder does not take orders")
        if self._answer:
            raise NotReadyError(f"builder {self._answer}")

    async def follow(self, session: aiohttp.ClientSession, ready_endpoint: str) -> None:
        """Keep asking whether the builder is ready; runs until cancelled.

        Args:
            session: Closed by its owner.
            ready_endpoint: URL that answers 200 when it is: a bare host gets `/readyz`. Empty:
                the builder is ready whenever it takes a connection.
        """
        url = ""
        if ready_endpoint:
            parts = parse_http_url("builder.ready_endpoint", ready_endpoint)
            url = parts._replace(path=parts.path.rstrip("/") or "/readyz").geturl()
        while True:
            before, self._answer = self._answer, await self._ask(session, url)
            if before != self._answer:
                _log.info("builder_state state=%s", self._answer or "ready")
            self.link.probe()
            await asyncio.sleep(READY_POLL_S)

    async def _ask(self, session: aiohttp.ClientSession, url: str) -> str:
        """Return what is wrong, or an empty text."""
        if not url:
            return "" if self.link.reachable else "is not connected"
        timeout = aiohttp.ClientTimeout(total=READY_TIMEOUT_S)
        try:
            async with session.get(url, timeout=timeout, allow_redirects=False) as answer:
                return "" if answer.status == HTTPStatus.OK else "is not ready"
        except (aiohttp.ClientError, TimeoutError, OSError):
            return "does not answer whether it is ready"


class BlockNumbers:
    """Asks an execution client for the newest block."""

    def __init__(self, session: aiohttp.ClientSession, endpoint: str) -> None:
        """Name the client."""
        self._session = session
        self._endpoint = endpoint

    async def fetch(self) -> int:
        """Return the number.

        Raises:
            NotReadyError: No answer, or none that is a number.
        """
        question = {"jsonrpc": "2.0", "id": 1, "method": "eth_blockNumber", "params": []}
        timeout = aiohttp.ClientTimeout(total=READY_TIMEOUT_S)
        try:
            async with self._session.post(
                self._endpoint, json=question, timeout=timeout, allow_redirects=False
            ) as answer:
                body = await read_bounded(answer, limit=_MAX_NUMBER_BYTES)
            return int(_NUMBER.decode(body).result, 16)
        except (aiohttp.ClientError, FetchError, TimeoutError, OSError) as exc:
            raise NotReadyError(f"execution client does not answer: {exc}") from exc
        except (msgspec.MsgspecError, ValueError) as exc:
            raise NotReadyError("execution client answers eth_blockNumber with no number") from exc


class _Number(msgspec.Struct):
    result: str


_NUMBER: Final = msgspec.json.Decoder(_Number)
_MAX_NUMBER_BYTES: Final = 4096
"""An answer has 60 bytes."""
