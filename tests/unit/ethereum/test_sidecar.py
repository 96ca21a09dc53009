# SPDX-License-Identifier: MIT
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import pytest
from ethereum_rlp import rlp
from ethereum_types.bytes import Bytes32

from buildernet.ethereum.errors import TransactionFormatError, TransactionRuleError
from buildernet.ethereum.keccak import compute_keccak256
from buildernet.ethereum.sidecar import BLOB_BYTES, CELLS_PER_BLOB, MAX_BLOBS
from buildernet.ethereum.transaction import MAX_NETWORK_FORM_BYTES, decode_transaction
from buildernet.ethereum.validation import validate_transaction
from tests.support.orders import ACCOUNT, make_transaction


def make_network_form(
    blobs: int = 1, *, version: bytes | None = None, change=lambda parts: parts, named=None
) -> tuple[bytes, bytes]:
    """Return a blob transaction in its block form and in its network form."""
    commitments = [bytes((number,)) * 48 for number in range(blobs)]
    hashes = [Bytes32(b"\1" + sha256(each).digest()[1:]) for each in commitments]
    block_form = make_transaction(3, blob_versioned_hashes=tuple(hashes[:named]))
    proofs = [b"\7" * 48] * (blobs * (1 if version is None else CELLS_PER_BLOB))
    parts: list[Any] = [[bytes(BLOB_BYTES)] * blobs, commitments, proofs]
    if version is not None:
        parts.insert(0, version)
    network = b"\x03" + rlp.encode([rlp.decode(block_form[1:]), *change(parts)])
    return block_form, network


@pytest.mark.parametrize("version", [None, b"\1"], ids=["proofs", "cell proofs"])
@pytest.mark.parametrize("blobs", [1, MAX_BLOBS])
def test_sidecar_is_stripped_for_the_hash_and_kept_in_raw(blobs, version):
    block_form, network = make_network_form(blobs, version=version)
    assert len(network) <= MAX_NETWORK_FORM_BYTES
    transaction = decode_transaction(network)
    assert transaction.hash == compute_keccak256(block_form)
    assert transaction.block_form == block_form
    assert transaction.raw == network
    assert transaction.has_sidecar
    assert transaction.sender == ACCOUNT.address
    validate_transaction(transaction)


def test_blob_transaction_without_its_blobs_decodes_and_is_refused_by_rule():
    transaction = decode_transaction(make_network_form()[0])
    assert not transaction.has_sidecar
    with pytest.raises(TransactionRuleError, match="did not come along"):
        validate_transaction(transaction)


def without(at: int) -> Callable[[list[Any]], list[Any]]:
    return lambda parts: [*parts[:at], *parts[at + 1 :]]


def instead(at: int, value: object) -> Callable[[list[Any]], list[Any]]:
    return lambda parts: [*parts[:at], value, *parts[at + 1 :]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without(2), "not blobs, commitments and proofs"),
        (lambda _: [], "not blobs, commitments and proofs"),
        (lambda parts: [*parts, b"", b""], "more than four parts"),
        (lambda parts: [b"\2", *parts], "unknown version"),
        (lambda parts: [b"", *parts], "unknown version"),
        (lambda parts: [[], *parts], "unknown version"),
        (instead(0, b""), "not blobs, commitments and proofs"),
        (instead(0, [bytes(BLOB_BYTES - 1)]), "blobs are not of 131072"),
        (instead(0, []), "holds not 1 blobs"),
        (instead(0, [bytes(BLOB_BYTES)] * 2), "holds not 1 blobs"),
        (instead(1, [b"\0" * 47]), "commitments are not of 48"),
        (instead(1, [b"\1" * 48]), "commitment 0 has another versioned hash"),
        (instead(2, [[]]), "proofs are not of 48"),
        (instead(2, [b"\1" * 48] * 2), "holds not 1 proofs"),
    ],
)
def test_other_sidecar_is_refused(change, message):
    with pytest.raises(TransactionFormatError, match=message):
        decode_transaction(make_network_form(change=change)[1])


def test_cell_proofs_are_counted():
    _, network = make_network_form(version=b"\1", change=instead(3, [b"\7" * 48] * 127))
    with pytest.raises(TransactionFormatError, match="holds not 128 proofs"):
        decode_transaction(network)


def test_number_of_blobs_is_the_one_that_is_signed():
    with pytest.raises(TransactionFormatError, match="holds not 1 blobs"):
        decode_transaction(make_network_form(2, named=1)[1])


def test_more_blobs_than_a_transaction_may_have_are_refused():
    _, network = make_network_form(MAX_BLOBS + 1)
    with pytest.raises(TransactionFormatError, match="7 blobs, more than 6"):
        decode_transaction(network)


def test_network_form_has_a_size_limit():
    _, network = make_network_form(8)
    with pytest.raises(TransactionFormatError, match="more than the 1048576"):
        decode_transaction(network)


def test_truncations_are_refused():
    _, network = make_network_form()
    for size in (*range(1, 400), *range(400, len(network), 997), len(network) - 1):
        with pytest.raises(TransactionFormatError):
            decode_transaction(network[:size])
