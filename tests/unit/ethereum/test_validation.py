# SPDX-License-Identifier: MIT
"""The rules, and their agreement with the executable specification."""

import sys
from types import ModuleType

import pytest
from ethereum.exceptions import EthereumException
from ethereum.forks.osaka import transactions as specification
from ethereum_types.bytes import Bytes20, Bytes32
from ethereum_types.numeric import U64, U256, Uint
from hypothesis import given, settings
from hypothesis import strategies as st

from buildernet.ethereum.errors import TransactionRuleError
from buildernet.ethereum.transaction import BLOB, decode_transaction
from buildernet.ethereum.validation import (
    MAX_INIT_CODE_BYTES,
    compute_intrinsic_gas,
    validate_transaction,
)
from tests.support.orders import CREATE, encode_specified, make_specified, make_transaction


@pytest.fixture(autouse=True)
def interpreter_constants(monkeypatch):
    """Stand in for the one module of the specification that cannot be imported without its EVM."""
    stub = ModuleType("ethereum.forks.osaka.vm.interpreter")
    stub.MAX_INIT_CODE_SIZE = 2 * 0x6000  # type: ignore[attr-defined] # as the specification's
    monkeypatch.setitem(sys.modules, stub.__name__, stub)


access_lists = st.lists(
    st.builds(
        specification.Access,
        st.just(Bytes20(b"\1" * 20)),
        st.lists(st.just(Bytes32(bytes(32))), max_size=4).map(tuple),
    ),
    max_size=4,
).map(tuple)
calldata = st.lists(st.sampled_from([b"\0" * 40, b"\1" * 40, b"\0", b"\xff"]), max_size=20).map(
    b"".join
)


@settings(max_examples=80, deadline=None)
@given(
    kind=st.integers(0, 4),
    data=calldata,
    access_list=access_lists,
    gas=st.integers(20_000, 90_000) | st.integers(2**24 - 1, 2**24 + 1),
    nonce=st.sampled_from([0, 2**64 - 2, 2**64 - 1]),
    creates=st.booleans(),
    authorizations=st.integers(1, 3),
)
def test_gas_and_verdict_are_the_specifications(
    kind, data, access_list, gas, nonce, creates, authorizations
):
    fields = {"data": data, "access_list": access_list, "gas": Uint(gas), "nonce": U256(nonce)}
    if creates and kind < 3:
        fields["to"] = CREATE
    if kind == 4:
        fields["authorizations"] = make_specified(4).authorizations * authorizations
    specified = make_specified(kind, **fields)
    ours = decode_transaction(encode_specified(specified))
    intrinsic, floor = specification.calculate_intrinsic_cost(specified)
    assert compute_intrinsic_gas(ours) == (int(intrinsic), int(floor))
    try:
        specification.validate_transaction(specified)
        refused = False
    except EthereumException:
        refused = True
    if refused:
        with pytest.raises(TransactionRuleError):
            validate_transaction(ours)
    elif kind == BLOB:
        with pytest.raises(TransactionRuleError, match="did not come along"):
            validate_transaction(ours)
    else:
        validate_transaction(ours)


@pytest.mark.parametrize("size", [MAX_INIT_CODE_BYTES, MAX_INIT_CODE_BYTES + 1])
def test_init_code_has_the_specifications_limit(size):
    specified = make_specified(2, to=CREATE, data=bytes(size), gas=Uint(2**23))
    ours = decode_transaction(encode_specified(specified))
    if size > MAX_INIT_CODE_BYTES:
        with pytest.raises(EthereumException):
            specification.validate_transaction(specified)
        with pytest.raises(TransactionRuleError, match="EIP-3860"):
            validate_transaction(ours)
    else:
        specification.validate_transaction(specified)
        validate_transaction(ours)


@pytest.mark.parametrize(
    ("kind", "fields", "message"),
    [
        (2, {"chain_id": U64(5)}, "for chain 5, not 1"),
        (2, {"nonce": U256(2**64 - 1)}, "EIP-2681"),
        (2, {"gas": Uint(2**24 + 1)}, "EIP-7825"),
        (2, {"max_fee_per_gas": Uint(1), "max_priority_fee_per_gas": Uint(2)}, "EIP-1559"),
        (2, {"gas": Uint(20_999)}, "below the 21000 charged"),
        (2, {"gas": Uint(37_001), "data": b"\1" * 1000}, "floor 61000"),
        (3, {"blob_versioned_hashes": ()}, "without blobs"),
        (3, {"blob_versioned_hashes": (Bytes32(b"\1" * 32),) * 7}, "7 blobs, more than 6"),
        (3, {"blob_versioned_hashes": (Bytes32(b"\2" * 32),)}, "not of version 1"),
        (4, {"authorizations": ()}, "EIP-7702"),
    ],
)
def test_each_rule_has_its_message(kind, fields, message):
    with pytest.raises(TransactionRuleError, match=message):
        validate_transaction(decode_transaction(make_transaction(kind, **fields)))


def test_transaction_without_a_chain_is_for_every_chain():
    unprotected = decode_transaction(make_transaction(0, protected=False))
    validate_transaction(unprotected)
    validate_transaction(unprotected, chain_id=5)
    with pytest.raises(TransactionRuleError, match="for chain 1, not 5"):
        validate_transaction(decode_transaction(make_transaction(0)), chain_id=5)
