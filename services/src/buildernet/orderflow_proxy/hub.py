# SPDX-License-Identifier: MIT
"""The hub's instance API, as the proxy uses it: register what others need to know, fetch the peers.

Everything goes over the attested client on this machine (plain HTTP to loopback), which sets the
headers by which the hub knows us. A hub that answers 403 does not know us or has us disabled: then
there are no peers, and none of them would take our orders.
"""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from pathlib import Path
from typing import Final

import aiohttp
import msgspec
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from buildernet.attestation.node import sign_possession
from buildernet.attestation.node.possession import PrivateKey
from buildernet.base.bounded_file import read_file
from buildernet.base.errors import BuildernetError
from buildernet.ethereum.signature import BUILDERNET_SIGNATURE, SigningKey, sign_body
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
"""Of the file with the certificate; a public authority's chain has 6 KiB."""

_MAX_ANSWER_BYTES: Final = 64 * 1024

_INSTANCE_LIST: Final = "/api/l1-builder/v1/builders"
_INTERNAL_LIST: Final = "/api/internal/l1-builder/v1/builders"
_EVIDENCE_LIST: Final = "/api/l1-builder/v1/peers"
_REGISTER: Final = "/api/l1-builder/v1/register_credentials/"

_log = logging.getLogger(__name__)


class HubError(BuildernetError):
    """The hub does not answer, or not as it should."""


class PeerListKind(StrEnum):
    """Which of the hub's lists is fetched."""

    INSTANCE = _INSTANCE_LIST
    """The active builders of our network, for attested nodes."""
    INTERNAL = _INTERNAL_LIST
    """The same for infrastructure outside the TEE."""
    EVIDENCE = _EVIDENCE_LIST
    """Those that proved themselves to the hub, with their evidence, so that we can verify them."""


@dataclass(frozen=True, slots=True)
class TlsIdentity:
    """A certificate to register, and the key that proves it is ours."""

    certificate: str
    """PEM chain, leaf first."""
    key: PrivateKey | None = None
    """None: registered without proof, which our hub refuses by default."""


class HubClient:
    """Requests to the hub, one attempt each."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        endpoint: str,
        *,
        listed: PeerListKind = PeerListKind.INSTANCE,
    ) -> None:
        """Name the hub.

        Args:
            session: Closed by its owner.
            endpoint: Its base URL.
            listed: The list to fetch.
        """
        self._session = session
        self._endpoint = endpoint.rstrip("/")
        self._list = listed

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
        if status == HTTPStatus.NOT_FOUND and self._list is PeerListKind.EVIDENCE:
            raise HubError(
                "the hub passes on no evidence (404)",
                hint="a hub that is not ours needs evidence.dangerously_trust_hub",
            )
        if status != HTTPStatus.OK:
            raise HubError(f"hub answers {status} to {self._list}")
        return parse_peers(body)

    async def register(
        self, service: str, *, key: SigningKey | None = None, tls: TlsIdentity | None = None
    ) -> None:
        """Register credentials of this node, with proof that it holds their keys.

        They replace earlier ones of the service. A hub without challenges (the public one) gets
        them without proof.

        Args:
            service: `orderflow_proxy` or `instance`.
            key: What this node signs with.
            tls: What this node shows in TLS.

        Raises:
            HubError: No answer, or another status than 200.
        """
        document = {}
        if tls is not None:
            document["tls_cert"] = tls.certificate
        if key is not None:
            document["ecdsa_pubkey_address"] = key.address.hex()
        challenge = await self._fetch_challenge(service)
        if challenge is not None:
            document["challenge"] = f"0x{challenge.hex()}"
            if tls is not None and tls.key is not None:
                leaf = x509.load_pem_x509_certificate(tls.certificate.encode())
                proof = sign_possession(tls.key, leaf, challenge=challenge)
                document["tls_cert_signature"] = f"0x{proof.hex()}"
        body = msgspec.json.encode(document)
        headers = {"Content-Type": "application/json"}
        if key is not None and challenge is not None:
            headers[BUILDERNET_SIGNATURE] = sign_body(key, body)
        status, answer = await self._request(
            "POST", _REGISTER + service, limit=_MAX_ANSWER_BYTES, body=body, headers=headers
        )
        if status != HTTPStatus.OK:
            said = answer[:200].decode("ascii", "backslashreplace")
            raise HubError(f"hub answers {status} to the registration of {service}: {said}")

    async def _fetch_challenge(self, service: str) -> bytes | None:
        path = f"{_REGISTER}{service}/challenge"
        status, body = await self._request("GET", path, limit=_MAX_ANSWER_BYTES)
        if status in (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED):
            return None
        if status != HTTPStatus.OK:
            raise HubError(f"hub answers {status} to {path}")
        try:
            challenge = _CHALLENGE.decode(body).challenge
            return bytes.fromhex(challenge.removeprefix("0x"))
        except (msgspec.MsgspecError, ValueError) as exc:
            raise HubError("hub's challenge is none") from exc

    async def _request(
        self,
        method: str,
        path: str,
        *,
        limit: int,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> tuple[int, bytes]:
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        try:
            async with self._session.request(
                method,
                self._endpoint + path,
                data=body,
                headers=headers,
                timeout=timeout,
                allow_redirects=False,
            ) as answer:
                return answer.status, await read_bounded(answer, limit=limit)
        except FetchError as exc:
            raise HubError(f"hub's answer is too long: {exc}") from exc
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as exc:
            raise HubError(f"hub does not answer: {str(exc) or type(exc).__name__}") from exc


class _Challenge(msgspec.Struct):
    challenge: str


_CHALLENGE: Final = msgspec.json.Decoder(_Challenge)


@dataclass(frozen=True, slots=True)
class Credentials:
    """What this node registers."""

    key: SigningKey
    """What the proxy signs with."""
    certificate_file: Path | None
    """Where the node's TLS certificate stands, registered as `instance` each time it changes; None
    when something else registers it."""
    certificate_key_file: Path | None = None
    """Its key, to prove that it is ours; may be in the same file."""


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
            await self._until_done(lambda: self._hub.register("orderflow_proxy", key=known.key))
            self._is_proxy_known = True
            _log.info("hub_registered service=orderflow_proxy address=%s", known.key.address)
        if known.certificate_file is None:
            return
        identity = self._read_identity(known.certificate_file)
        if identity is not None and identity.certificate != self._certificate:
            await self._until_done(lambda: self._hub.register("instance", tls=identity))
            self._certificate = identity.certificate
            _log.info("hub_registered service=instance")

    def forget(self) -> None:
        """Register again: the hub's list does not name us."""
        self._is_proxy_known, self._certificate = False, ""

    def _read_identity(self, file: Path) -> TlsIdentity | None:
        """Read certificate and key; None, and said in the log, when that does not work now."""
        try:
            parts = _PEM.findall(_read(file))
            certificate = "".join(f"{part}\n" for part in parts if "CERTIFICATE" in part[:40])
            leaf = x509.load_pem_x509_certificate(certificate.encode())
            key_file = self._credentials.certificate_key_file
            if key_file is None:
                return TlsIdentity(certificate)
            key = load_pem_private_key(_read(key_file).encode(), password=None)
            if key.public_key() != leaf.public_key():  # being replaced: the next look finds both
                raise ValueError("its key is another's")
            # Other kinds of keys cannot be in a certificate for TLS that a node makes.
            return TlsIdentity(certificate, key)  # type: ignore[arg-type]
        except (HubError, ValueError, TypeError, UnsupportedAlgorithm) as exc:
            _log.warning("certificate_unusable path=%s reason=%s", file, exc)
            return None

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


_PEM: Final = re.compile(r"-----BEGIN [A-Z ]+-----[^-]+-----END [A-Z ]+-----")


def _read(path: Path) -> str:
    return read_file(path, limit=MAX_CERTIFICATE_BYTES, error=HubError).decode("ascii")
