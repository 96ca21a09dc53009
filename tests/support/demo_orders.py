# SPDX-License-Identifier: MIT
"""A searcher in `make demo`: sends a signed bundle to a node whose certificate was verified."""

import http.client
import json
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from buildernet.ethereum.signature import SigningKey, sign_body
from tests.support.builder_stand_in import Builder
from tests.support.network import Network
from tests.support.program import ProgramError

ARRIVAL_SECONDS: Final = 30.0
"""An order arrives within tens of milliseconds; the machine is emulated."""

CONNECT_SECONDS: Final = 60.0
"""Until the node is ready: HAProxy looks every 5 s, and the machine is emulated."""

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
            ProgramError: The node shows another certificate, or does not become ready.
        """
        self._key = SigningKey.generate()
        context = ssl.create_default_context(cadata=certificate)
        context.check_hostname = False  # the key is what was attested, not a name
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        self._connection = http.client.HTTPSConnection(
            "127.0.0.1", port, timeout=ARRIVAL_SECONDS, context=context
        )
        self._connect(certificate)

    def send(self, bundle: dict[str, Any]) -> dict[str, Any]:
        """Send a signed eth_sendBundle and return the result.

        Raises:
            ProgramError: The node refuses it.
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
            raise ProgramError(f"the node answers {answer.status}: {text[:300]!r}")
        return dict(document["result"])

    def close(self) -> None:
        """End the connection."""
        self._connection.close()

    def _connect(self, certificate: str) -> None:
        """Connect once the node is ready; the port is forwarded before HAProxy listens."""
        end = time.monotonic() + CONNECT_SECONDS
        while True:
            try:
                self._connection.connect()
                shown = self._connection.sock.getpeercert(binary_form=True)
                if shown != ssl.PEM_cert_to_DER_cert(certificate):
                    raise ProgramError("the node shows another certificate than the verified one")
                self._connection.request("GET", "/readyz")
                answer = self._connection.getresponse()
                why = f"{answer.status} {answer.read().decode(errors='replace').strip()}"
                if answer.status == http.HTTPStatus.OK:
                    return
            except ssl.SSLCertVerificationError as exc:
                raise ProgramError(
                    f"the node's certificate is not the verified one: {exc}"
                ) from exc
            except (OSError, http.client.HTTPException) as exc:
                why = str(exc)
            if time.monotonic() > end:
                raise ProgramError(f"the node does not become ready for users: {why}")
            self._connection.close()
            time.sleep(0.2)


def send_and_follow(
    network: Network,
    builders: Mapping[str, Builder],
    searcher: Searcher,
    say: Callable[[str], None],
) -> OrderResult:
    """Send a bundle, see where it arrives, then send it again and see that it does not.

    Raises:
        ProgramError: The node refuses the bundle.
    """

    def archived(result: dict[str, Any]) -> list[dict[str, Any]]:
        return network.archive.rows(hash=result["bundleHash"])

    def at_all(number: int) -> bool:
        return all(number in dict(builder.taken()) for builder in builders.values())

    first, marker = make_bundle(1), make_bundle(2)
    say("the searcher sends a signed bundle over the verified connection")
    started = time.perf_counter()
    result = searcher.send(first)
    answered = time.perf_counter()
    in_archive = _wait_for(lambda: archived(result))
    _wait_for(lambda: at_all(1))
    say("the searcher sends the same bundle again, then another one")
    again = searcher.send(first)
    last = searcher.send(marker)
    # What comes after the duplicate has arrived everywhere: so would the duplicate have.
    _wait_for(lambda: archived(last))
    _wait_for(lambda: at_all(2))
    moments = {
        place: [at for number, at in builder.taken() if number == 1]
        for place, builder in builders.items()
    }
    moments["archive"] = [in_archive] * len(archived(result))
    arrivals = [
        Arrival(place, (min(found, default=started) - started) * _MILLISECONDS, len(found))
        for place, found in moments.items()
    ]
    problems = [
        f"{one.place}: arrived {one.times} times, not once" for one in arrivals if one.times != 1
    ]
    if again != result:
        problems.append("the duplicate is answered differently")
    return OrderResult(
        result["bundleHash"],
        (answered - started) * _MILLISECONDS,
        tuple(arrivals),
        json.dumps(again),
        tuple(problems),
    )


def make_bundle(number: int) -> dict[str, Any]:
    """Return a bundle of one valid transaction; the builders tell it by its number."""
    # Here: the specification's classes take a second to import.
    from tests.support.orderflow_receiver import bundle

    return bundle(number, minTimestamp=number)


def _wait_for(look: Callable[[], Any]) -> float:
    """Return when a look found something; it is looked for `ARRIVAL_SECONDS` at most."""
    end = time.perf_counter() + ARRIVAL_SECONDS
    while not look() and time.perf_counter() < end:
        time.sleep(_POLL_SECONDS)
    return time.perf_counter()
