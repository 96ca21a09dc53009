# SPDX-License-Identifier: MIT
"""Signers recovered per second on one core: `python -m tests.bench signatures`.

Ours is what every request goes through: keccak of the body, EIP-191, recovery by libsecp256k1,
address (`verify_body`). Beside it stands OpenSSL, by way of `cryptography`, over the same digest:
it cannot recover a signer, so it is given the public key and only verifies, which is less work.
Last, a transaction's decoding with and without recovery, against the specification's own decoder.

CPU time, so that other work on the machine does not count.
"""

from collections.abc import Callable, Iterator
from statistics import median
from time import process_time
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from ethereum.forks.osaka import transactions as specification
from ethereum_types.bytes import Bytes
from ethereum_types.numeric import U64

from buildernet.ethereum.signature import SigningKey, compute_body_digest, sign_body, verify_body
from buildernet.ethereum.transaction import SenderCache, decode_transaction
from buildernet.ethereum.validation import validate_transaction
from tests.bench.figures import Figure, ratio_of_rates
from tests.support.orders import VECTORS

BODY_BYTES: Final = (500, 3_000, 40_000)
"""Small, and the median and 99th percentile of the network's payloads (services.md 1.14)."""
BATCH: Final = 200
ROUNDS: Final = 15
SECRET: Final = b"\x07" * 32
_PREHASHED: Final = ec.ECDSA(Prehashed(SHA256()))


def _rate(work: Callable[[], object]) -> float:
    """Return how often a call fits a second, by the median of the rounds."""
    rates = []
    for _ in range(ROUNDS):
        start = process_time()
        for _ in range(BATCH):
            work()
        rates.append(BATCH / (process_time() - start))
    return median(rates)


def measure_signatures() -> Iterator[Figure]:
    """Both rates and the ratio of the times, for each size of body and for a transaction."""
    for size in BODY_BYTES:
        ours, theirs = _body_rates(size)
        yield from _compare(f"request of {size} bytes", ours, "OpenSSL", theirs)
    yield from _transactions()


def _compare(what: str, ours: float, reference: str, theirs: float) -> Iterator[Figure]:
    figures = [
        Figure(f"{what}: ours", ours, "/cpu-s"),
        Figure(f"{what}: {reference}", theirs, "/cpu-s"),
    ]
    yield from figures
    yield ratio_of_rates(f"{what}: time / {reference}'s", *figures)


def _body_rates(size: int) -> tuple[float, float]:
    key = SigningKey(SECRET)
    body = bytes(range(256)) * (size // 256 + 1)
    body = body[:size]
    header = sign_body(key, body)
    raw = bytes.fromhex(header[45:])
    der = encode_dss_signature(int.from_bytes(raw[:32]), int.from_bytes(raw[32:64]))
    public = ec.derive_private_key(int.from_bytes(SECRET), ec.SECP256K1()).public_key()
    return (
        _rate(lambda: verify_body(header, body)),
        _rate(lambda: public.verify(der, compute_body_digest(body), _PREHASHED)),
    )


def _transactions() -> Iterator[Figure]:
    """Decoding and validation of a published transaction with an access list."""
    raw = bytes.fromhex(VECTORS["transactions"]["access_list_call"][2:])
    senders = SenderCache()

    def ours(senders: SenderCache | None = None) -> None:
        validate_transaction(decode_transaction(raw, senders=senders))

    def decoded() -> specification.Transaction:
        return specification.decode_transaction(Bytes(raw))

    def reference() -> None:
        transaction = decoded()
        specification.calculate_intrinsic_cost(transaction)
        specification.recover_sender(U64(1), transaction)

    def reference_known() -> None:
        specification.calculate_intrinsic_cost(decoded())

    decoder = "the specification"
    yield from _compare(f"transaction of {len(raw)} bytes", _rate(ours), decoder, _rate(reference))
    known = _rate(lambda: ours(senders))
    yield from _compare("the same, sender known", known, decoder, _rate(reference_known))
