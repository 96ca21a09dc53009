# SPDX-License-Identifier: MIT
"""The hub's instance API, as the proxy uses it: register what others need to know, fetch the peers.

Everything goes over the attested client on this machine (plain HTTP to loopback), which sets the
headers by which the hub knows us. A hub that answers 403 does not know us or has us disabled: then
there are no peers, and none of them would take our orders.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Final

import aiohttp

from buildernet.base.errors import BuildernetError
from buildernet.ethereum.address import Address
from buildernet.net.errors import FetchError
from buildernet.net.fetch import read_bounded
from buildernet.orderflow_proxy.peer import MAX_LIST_BYTES, PeerList, parse_peers
from buildernet.orderflow_proxy.sending.backoff import compute_backoff

TIMEOUT_S: Final = 30.0
"""BUILDERHUB_TIMEOUT of the draft."""

REFRESH_S: Final = 30.0
"""As every implementation; the draft's five minutes would keep a dead peer for that long."""

REGISTER_FIRST_S: Final = 0.5
REGISTER_LONGEST_S: Final = 30.0
"""The hub may be down for long, and nothing is gained by asking it more often than for peers."""

MAX_CERTIFICATE_BYTES: Final = 64 * 1024

_INSTANCE_LIST: Final = "/api/l1-builder/v1/builders"
_INTERNAL_LIST: Final = "/api/internal/l1-builder/v1/builders"
_REGISTER: Final = "/api/l1-builder/v1/register_credentials/"

_log = logging.getLogger(__name__)


class HubError(BuildernetError):
    """The hub does not answer, or not as it should."""


class HubClient:
    """Requests to the hub, one attempt each."""

    def __init__(
        self, session: aiohttp.ClientSession, endpoint: str, *, is_internal: bool = False
    ) -> None:
        """Name the hub.

        Args:
            session: Closed by its owner.
            endpoint: Its base URL.
            is_internal: Fetch from the internal list, which outsiders of the TEE use.
        """
        self._session = session
        self._endpoint = endpoint.rstrip("/")
        self._list = _INTERNAL_LIST if is_internal else _INSTANCE_LIST

    async def fetch_peers(self) -> PeerList:
        """Return the hub's list; empty when the hub refuses us (403).

        Raises:
            HubError: No answer, another status, or a body over `MAX_LIST_BYTES`.
            PeerListError: The body is no list.
        """
        status, body = await self._request("GET", self._list, limit=MAX_LIST_BYTES)
        if status == HTTPStatus.FORBIDDEN:
            _log.warning("hub_refuses_us: not registered or not active; no peers")
            return PeerList((), ())
        if status != HTTPStatus.OK:
            raise HubError(f"hub answers {status} to {self._list}")
        return parse_peers(body)

    async def register(
        self, service: str, *, address: Address | None = None, certificate: str = ""
    ) -> None:
        """Register credentials of this node; they replace earlier ones of the service.

        Args:
            service: `orderflow_proxy` or `instance`.
            address: What this node signs with.
            certificate: PEM of what it shows in TLS.

        Raises:
            HubError: No answer, or another status than 200.
        """
        document = {}
        if certificate:
            document["tls_cert"] = certificate
        if address is not None:
            document["ecdsa_pubkey_address"] = address.hex()
        status, body = await self._request(
            "POST", _REGISTER + service, limit=MAX_CERTIFICATE_BYTES, document=document
        )
        if status != HTTPStatus.OK:
            said = body[:200].decode("ascii", "backslashreplace")
            raise HubError(f"hub answers {status} to the registration of {service}: {said}")

    async def _request(
        self, method: str, path: str, *, limit: int, document: dict[str, str] | None = None
    ) -> tuple[int, bytes]:
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        try:
            async with self._session.request(
                method,
                self._endpoint + path,
                json=document,
                timeout=timeout,
                allow_redirects=False,
            ) as answer:
                return answer.status, await read_bounded(answer, limit=limit)
        except FetchError as exc:
            raise HubError(f"hub's answer is too long: {exc}") from exc
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as exc:
            raise HubError(f"hub does not answer: {str(exc) or type(exc).__name__}") from exc


@dataclass(frozen=True, slots=True)
class Credentials:
    """What this node registers."""

    address: Address
    """What the proxy signs with."""
    certificate_file: Path | None
    """Where the node's TLS certificate stands, registered as `instance` each time it changes; None
    when something else registers it."""
    certificate: str = ""
    """The certificate of a proxy that ends TLS itself, registered as `orderflow_proxy`."""


class Registrar:
    """Keeps this node registered."""

    def __init__(
        self, hub: HubClient, credentials: Credentials, *, on_error: Callable[[], None]
    ) -> None:
        """Register nothing yet.

        Args:
            hub: Where.
            credentials: What.
            on_error: Counts failed attempts.
        """
        self._hub = hub
        self._credentials = credentials
        self._on_error = on_error
        self._is_proxy_known = False
        self._certificate = ""

    async def register(self) -> None:
        """Register what the hub does not have yet, until it has; backs off in between."""
        known = self._credentials
        if not self._is_proxy_known:
            await self._until_done(
                lambda: self._hub.register(
                    "orderflow_proxy", address=known.address, certificate=known.certificate
                )
            )
            self._is_proxy_known = True
            _log.info("hub_registered service=orderflow_proxy address=%s", known.address)
        certificate = self._read_certificate()
        if certificate and certificate != self._certificate:
            await self._until_done(lambda: self._hub.register("instance", certificate=certificate))
            self._certificate = certificate
            _log.info("hub_registered service=instance")

    def forget(self) -> None:
        """Register again: the hub's list does not name us."""
        self._is_proxy_known, self._certificate = False, ""

    def _read_certificate(self) -> str:
        path = self._credentials.certificate_file
        if path is None:
            return ""
        try:
            with path.open("rb") as file:
                return file.read(MAX_CERTIFICATE_BYTES).decode("ascii")
        except (OSError, ValueError) as exc:
            _log.warning("certificate_unreadable path=%s reason=%s", path, exc)
            return ""

    async def _until_done(self, attempt: Callable[[], Awaitable[None]]) -> None:
        failures = 0
        while True:
            try:
                await attempt()
            except HubError as exc:
                failures += 1
                self._on_error()
                _log.warning("hub_registration_failed attempt=%d reason=%s", failures, exc)
                await asyncio.sleep(
                    compute_backoff(
                        failures, first_s=REGISTER_FIRST_S, longest_s=REGISTER_LONGEST_S
                    )
                )
            else:
                return
