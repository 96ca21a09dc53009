# SPDX-License-Identifier: MIT
"""A searcher in `make demo`: sends a signed bundle to a node whose certificate was verified."""

import http.client
import json
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from buildernet.ethereum.signature import SigningKey, sign_body
from tests.support.demo_builder import HEAD, BuilderStandIn
from tests.support.demo_network import Network, ask_json
from tests.support.demo_processes import DemoError

ARRIVAL_SECONDS: Final = 30.0
"""An order arrives within tens of milliseconds; the machine is emulated."""

CONNECT_SECONDS: Final = 30.0

_MILLISECONDS: Final = 1000
_POLL_SECONDS: Final = 0.005


@dataclass(frozen=True, slots=True)
class Arrival:
    """Where a bundle arrived, when, and how often."""

    place: str
    milliseconds: float
    """Since the searcher began to send."""
    times: int


@dataclass(frozen=True, slots=True)
class OrderResult:
    """What became of a bundle and of its duplicate."""

    bundle_hash: str
    answer_milliseconds: float
    """Until the node had answered."""
    arrivals: tuple[Arrival, ...]
    duplicate_answer: str
    problems: tuple[str, ...] = field(default=())

    @property
    def as_wanted(self) -> bool:
        """Whether it arrived exactly once everywhere."""
        return not self.problems


class Searcher:
    """Somebody with a key, and a connection to one node."""

    def __init__(self, port: int, certificate: str) -> None:
        """Connect to 127.0.0.1.

        Args:
            port: Forwarded to the node's 443.
            certificate: PEM, as `attested-get` verified it; nothing else is talked to.

        Raises:
            DemoError: The node shows another certificate, or does not answer.
        """
        self._key = SigningKey.generate()
        context = ssl.create_default_context(cadata=certificate)
        context.check_hostname = False  # the key is what was attested, not a name
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        self._connection = http.client.HTTPSConnection(
            "127.0.0.1", port, timeout=ARRIVAL_SECONDS, context=context
        )
        self._connect()
        shown = self._connection.sock.getpeercert(binary_form=True)
        if shown != ssl.PEM_cert_to_DER_cert(certificate):
            raise DemoError("the node shows another certificate than the one that was verified")

    def send(self, bundle: dict[str, Any]) -> dict[str, Any]:
        """Send a signed eth_sendBundle and return the result.

        Raises:
            DemoError: The node refuses it.
        """
        request = {"jsonrpc": "2.0", "id": 1, "method": "eth_sendBundle", "params": [bundle]}
        body = json.dumps(request).encode()
        signature = sign_body(self._key, body)
        headers = {"Content-Type": "application/json", "X-Flashbots-Signature": signature}
        self._connection.request("POST", "/", body=body, headers=headers)
        answer = self._connection.getresponse()
        text = answer.read()
        document = json.loads(text) if answer.status == http.HTTPStatus.OK else {}
        if not isinstance(document.get("result"), dict):
            raise DemoError(f"the node answers {answer.status}: {text[:300]!r}")
        return dict(document["result"])

    def close(self) -> None:
        """End the connection."""
        self._connection.close()

    def _connect(self) -> None:
        """Connect; the port is forwarded before HAProxy listens, and then closed at once."""
        end = time.monotonic() + CONNECT_SECONDS
        while True:
            try:
                self._connection.connect()
                return
            except ssl.SSLCertVerificationError as exc:
                raise DemoError(f"the node's certificate is not the verified one: {exc}") from exc
            except OSError as exc:
                if time.monotonic() > end:
                    raise DemoError(f"no TLS connection to the node: {exc}") from exc
                time.sleep(0.2)


def send_and_follow(
    network: Network, port: int, certificate: str, say: Callable[[str], None]
) -> OrderResult:
    """Send a bundle, see where it arrives, then send it again and see that it does not.

    Raises:
        DemoError: The node cannot be reached or refuses the bundle.
    """
    first, marker = make_bundle(1), make_bundle(2)
    searcher = Searcher(port, certificate)
    try:
        say("the searcher sends a signed bundle over the verified connection")
        started = time.perf_counter()
        result = searcher.send(first)
        answered = (time.perf_counter() - started) * _MILLISECONDS
        archived = _wait_for(lambda: _archived(network, result["bundleHash"]))
        _wait_for(lambda: _at_all(network, first))
        say("the searcher sends the same bundle again, then another one")
        again = searcher.send(first)
        last = searcher.send(marker)
        # What comes after the duplicate has arrived everywhere: so would the duplicate have.
        _wait_for(lambda: _archived(network, last["bundleHash"]))
        _wait_for(lambda: _at_all(network, marker))
    finally:
        searcher.close()
    arrivals = [_at_builder(builder, first["txs"][0], started) for builder in network.builders]
    milliseconds = 0.0 if archived is None else (archived - started) * _MILLISECONDS
    rows = _archive_rows(network, result["bundleHash"])
    arrivals.append(Arrival("archive", milliseconds, len(rows)))
    problems = [
        f"{one.place}: arrived {one.times} times, not once" for one in arrivals if one.times != 1
    ]
    if again != result:
        problems.append("the duplicate is answered differently")
    return OrderResult(
        result["bundleHash"], answered, tuple(arrivals), json.dumps(again), tuple(problems)
    )


def make_bundle(number: int) -> dict[str, Any]:
    """Return a bundle of one valid transaction."""
    # Here: the specification's classes take a second to import.
    from ethereum_types.numeric import U256

    from tests.support.orders import make_transaction

    transaction = "0x" + make_transaction(2, value=U256(number)).hex()
    return {"txs": [transaction], "blockNumber": hex(HEAD + 2)}


def _at_all(network: Network, bundle: dict[str, Any]) -> bool:
    return all(builder.times_of(bundle["txs"][0]) for builder in network.builders)


def _at_builder(builder: BuilderStandIn, transaction: str, started: float) -> Arrival:
    times = builder.times_of(transaction)
    milliseconds = (times[0] - started) * _MILLISECONDS if times else 0.0
    return Arrival(builder.name, milliseconds, len(times))


def _archived(network: Network, bundle_hash: str) -> float | None:
    return time.perf_counter() if _archive_rows(network, bundle_hash) else None


def _archive_rows(network: Network, bundle_hash: str) -> list[Any]:
    url = f"{network.archive_url}/api/v1/bundles?hash={bundle_hash}"
    return list(ask_json(url)["rows"])


def _wait_for(look: Callable[[], Any]) -> Any:
    """Return what a look finds first; None when it finds nothing in `ARRIVAL_SECONDS`."""
    end = time.monotonic() + ARRIVAL_SECONDS
    while time.monotonic() < end:
        if found := look():
            return found
        time.sleep(_POLL_SECONDS)
    return None
