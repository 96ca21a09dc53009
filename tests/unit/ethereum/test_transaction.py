# SPDX-License-Identifier: MIT
import time
from typing import Any

import pytest
from ethereum.forks.osaka import transactions as specification
from ethereum_rlp import rlp
from ethereum_types.bytes import Bytes, Bytes20, Bytes32
from ethereum_types.numeric import U64, U256, Uint
from hypothesis import given, settings
from hypothesis import strategies as st

from buildernet.ethereum.address import Address
from buildernet.ethereum.errors import EthereumError, TransactionFormatError
from buildernet.ethereum.keccak import compute_keccak256
from buildernet.ethereum.rlp import encode_list_head
from buildernet.ethereum.signature import HALF_ORDER
from buildernet.ethereum.transaction import (
    MAX_TRANSACTION_BYTES,
    SenderCache,
    decode_transaction,
)
from tests.support.orders import (
    ACCOUNT,
    CREATE,
    VECTORS,
    encode_specified,
    make_specified,
    make_transaction,
)

KINDS = (0, 1, 2, 3, 4)
BUNDLE_OF_THE_TRANSFER = "0xee3996920364173b0990f92cf6fbeb8a4ab832fe5549c1b728ac44aee0160f02"

words = st.binary(min_size=32, max_size=32).map(Bytes32)
access_lists = st.lists(
    st.builds(
        specification.Access,
        st.binary(min_size=20, max_size=20).map(Bytes20),
        st.lists(words, max_size=3).map(tuple),
    ),
    max_size=3,
).map(tuple)
field_values = st.fixed_dictionaries(
    {},
    optional={
        "nonce": st.integers(0, 2**64 - 1).map(U256),
        "gas": st.integers(0, 2**64).map(Uint),
        "max_fee_per_gas": st.integers(0, 2**256 - 1).map(Uint),
        "value": st.integers(0, 2**256 - 1).map(U256),
        "data": st.binary(max_size=300),
        "access_list": access_lists,
        "blob_versioned_hashes": st.lists(words, max_size=3).map(tuple),
        "chain_id": st.integers(0, 2**64 - 1).map(U64),
    },
)
signed_transactions = st.builds(
    lambda kind, fields: make_specified(kind, **fields), st.sampled_from(KINDS), field_values
)


def decode_specified(raw: bytes):
    """Decode with the specification, which knows no signature here."""
    if raw[0] >= 0xC0:
        return rlp.decode_to(specification.LegacyTransaction, raw)
    return specification.decode_transaction(Bytes(raw))


@settings(max_examples=80, deadline=None)
@given(transaction=signed_transactions)
def test_decoded_transaction_is_the_specifications(transaction):
    raw = encode_specified(transaction)
    ours = decode_transaction(raw)
    assert ours.raw == ours.block_form == raw
    assert ours.hash == compute_keccak256(raw)
    assert ours.sender == ACCOUNT.address
    assert ours.nonce == transaction.nonce
    assert ours.gas == transaction.gas
    assert ours.value == transaction.value
    assert ours.data == transaction.data
    assert (ours.r, ours.s) == (transaction.r, transaction.s)
    assert (ours.to.raw if ours.to else b"") == transaction.to
    price = getattr(transaction, "gas_price", None)
    assert ours.max_fee_per_gas == (transaction.max_fee_per_gas if price is None else price)
    assert [(entry.address.raw, entry.slots) for entry in ours.access_list] == [
        (entry.account, entry.slots) for entry in getattr(transaction, "access_list", ())
    ]
    assert ours.blob_versioned_hashes == getattr(transaction, "blob_versioned_hashes", ())
    assert [tuple(each)[3:] for each in ours.authorizations] == [
        (each.y_parity, each.r, each.s) for each in getattr(transaction, "authorizations", ())
    ]


def check_changed_bytes(transaction: Any, data: st.DataObject) -> None:
    raw = bytearray(encode_specified(transaction))
    if data.draw(st.booleans()):
        del raw[data.draw(st.integers(1, len(raw) - 1)) :]
    else:
        bit = data.draw(st.integers(0, 8 * min(len(raw), 60) - 1))
        raw[bit // 8] ^= 1 << bit % 8
    try:
        decode_specified(bytes(raw))
        specified = True
    except Exception:
        specified = False
    try:
        decode_transaction(bytes(raw))
        ours = True
    except TransactionFormatError as exc:
        # A form that decodes, signed by nobody: the specification finds that later.
        ours = str(exc).startswith("signature: ")
    assert ours == specified


@settings(max_examples=120, deadline=None)
@given(transaction=signed_transactions, data=st.data())
def test_changed_bytes_are_taken_exactly_when_the_specification_takes_them(transaction, data):
    check_changed_bytes(transaction, data)


@pytest.mark.slow
@pytest.mark.timeout(600)
@settings(max_examples=20_000, deadline=None)
@given(transaction=signed_transactions, data=st.data())
def test_many_changed_bytes_are_taken_exactly_when_the_specification_takes_them(transaction, data):
    check_changed_bytes(transaction, data)


@settings(max_examples=100, deadline=None)
@given(raw=st.binary(max_size=200))
def test_any_bytes_raise_our_error_or_decode(raw):
    try:
        decode_transaction(raw)
    except EthereumError:
        return
    decode_specified(raw)


@pytest.mark.parametrize("kind", KINDS)
def test_every_truncation_is_refused(kind):
    raw = make_transaction(kind)
    for size in range(len(raw)):
        with pytest.raises(TransactionFormatError):
            decode_transaction(raw[:size])
    with pytest.raises(TransactionFormatError):
        decode_transaction(raw + b"\0")


def test_published_transactions_have_their_hashes():
    transfer = decode_transaction(bytes.fromhex(VECTORS["transactions"]["transfer_sepolia"][2:]))
    assert "0x" + compute_keccak256(transfer.hash).hex() == BUNDLE_OF_THE_TRANSFER
    assert transfer.chain_id == 11155111
    call = decode_transaction(bytes.fromhex(VECTORS["transactions"]["access_list_call"][2:]))
    assert call.sender == Address.parse("0xFF82BF5238637B7E5E345888BaB9cd99F5Ebe331")
    assert sum(len(entry.slots) for entry in call.access_list) == 11 + 2 + 0 + 2


def test_contract_creation_has_no_recipient():
    assert decode_transaction(make_transaction(2, to=CREATE)).to is None
    for kind in (3, 4):
        with pytest.raises(TransactionFormatError, match=r"^to: no address"):
            decode_transaction(make_transaction(kind, to=CREATE))


def test_legacy_transaction_from_before_eip155_has_no_chain():
    unprotected = decode_transaction(make_transaction(0, protected=False))
    assert (unprotected.chain_id, unprotected.sender) == (None, ACCOUNT.address)
    assert unprotected.v in (27, 28)
    assert decode_transaction(make_transaction(0)).chain_id == 1


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"r": U256(0)}, "no key fits"),
        ({"s": U256(0)}, "no key fits"),
        ({"s": U256(HALF_ORDER + 1)}, "upper half"),
        ({"y_parity": U256(2)}, "parity is 2"),
    ],
)
def test_transaction_signed_by_nobody_is_refused(fields, message):
    transaction = make_specified(2)
    for name, value in fields.items():
        object.__setattr__(transaction, name, value)
    with pytest.raises(TransactionFormatError, match=f"^signature: .*{message}"):
        decode_transaction(encode_specified(transaction))


@pytest.mark.parametrize("v", [0, 1, 26, 29, 34])
def test_legacy_v_of_no_scheme_is_refused(v):
    transaction = make_specified(0)
    object.__setattr__(transaction, "v", U256(v))
    with pytest.raises(TransactionFormatError, match=f"^signature: v is {v}"):
        decode_transaction(encode_specified(transaction))


@pytest.mark.parametrize("kind", [5, 0x7E, 0x7F, 0x80, 0xBF])
def test_unknown_type_is_refused(kind):
    with pytest.raises(TransactionFormatError, match=f"type {kind} is no"):
        decode_transaction(bytes((kind,)) + make_transaction(2)[1:])


def test_price_of_more_than_a_word_is_refused():
    # The specification sets no bound; no client takes it.
    raw = make_transaction(2, max_fee_per_gas=Uint(2**256))
    with pytest.raises(TransactionFormatError, match="max_fee_per_gas: no integer"):
        decode_transaction(raw)


def test_transaction_is_as_large_as_pools_take_it_and_no_larger():
    room = MAX_TRANSACTION_BYTES - len(make_transaction(2, data=bytes(70_000))) + 70_000
    raw = make_transaction(2, data=bytes(room))
    assert len(raw) == MAX_TRANSACTION_BYTES
    assert len(decode_transaction(raw).data) == room
    with pytest.raises(TransactionFormatError, match="more than"):
        decode_transaction(make_transaction(2, data=bytes(room + 1)))


@pytest.mark.parametrize(
    "raw",
    [
        encode_list_head(120_000) + b"\1" * 120_000,
        b"\x02" + encode_list_head(120_000) + b"\1" * 120_000,
        b"\x02" + rlp.encode([b"\1"] * 8 + [[[b"\1" * 20, []]] * 5000, b"", b"\1", b"\1"]),
        b"\x02" + b"\xf9\xff\xff" * 40_000,
        b"\xc1" * 100_000 + b"\xc0",
        b"\xff" * 100_000,
    ],
    ids=["flat", "flat typed", "access list", "long heads", "nested", "ff"],
)
def test_hostile_bytes_cost_little(raw):
    start = time.process_time()
    with pytest.raises(TransactionFormatError):
        decode_transaction(raw)
    assert time.process_time() - start < 0.2


def test_full_access_list_costs_little():
    entry = specification.Access(Bytes20(b"\1" * 20), ())
    raw = make_transaction(2, access_list=(entry,) * 5000)
    start = time.process_time()
    assert len(decode_transaction(raw).access_list) == 5000
    assert time.process_time() - start < 0.5


def test_sender_is_recovered_once():
    senders = SenderCache(limit=2)
    first, second, third = (make_transaction(2, nonce=U256(number)) for number in range(3))
    assert decode_transaction(first, senders=senders).sender == ACCOUNT.address
    senders.remember(compute_keccak256(first), Address(bytes(20)))
    assert decode_transaction(first, senders=senders).sender == Address(bytes(20))
    decode_transaction(second, senders=senders)
    decode_transaction(first, senders=senders)
    decode_transaction(third, senders=senders)
    assert len(senders) == 2
    assert senders.recall(compute_keccak256(first)) is not None
    assert senders.recall(compute_keccak256(second)) is None
