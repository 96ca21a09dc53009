# SPDX-License-Identifier: MIT
"""The rules that need no state: whether any block of the chain may hold a transaction.

Each rule has its own message. The specification's own check needs the EVM and walks calldata byte
by byte; the tests hold this one against it.

Reference: EIP-155, EIP-2681 (nonce), EIP-3860 (init code), EIP-4844, EIP-7594 (blobs per
transaction), EIP-7623 (floor), EIP-7702, EIP-7825 (gas limit).
"""

from typing import Final

from buildernet.ethereum.errors import TransactionRuleError
from buildernet.ethereum.sidecar import MAX_BLOBS
from buildernet.ethereum.transaction import BLOB, SET_CODE, Transaction

MAINNET_CHAIN_ID: Final = 1

MAX_GAS: Final = 2**24
"""EIP-7825: the gas limit of one transaction."""

MAX_NONCE: Final = 2**64 - 2
"""EIP-2681: an account's nonce stays below 2^64 - 1."""

MAX_INIT_CODE_BYTES: Final = 2 * 24_576
"""EIP-3860: twice the largest contract."""

BASE_GAS: Final = 21_000
CREATE_GAS: Final = 32_000
INIT_CODE_WORD_GAS: Final = 2
TOKEN_GAS: Final = 4
FLOOR_TOKEN_GAS: Final = 10
TOKENS_PER_NONZERO_BYTE: Final = 4
ACCESS_ADDRESS_GAS: Final = 2_400
ACCESS_SLOT_GAS: Final = 1_900
AUTHORIZATION_GAS: Final = 25_000

_WORD_BYTES: Final = 32
_KZG_VERSION: Final = 1


def compute_intrinsic_gas(transaction: Transaction) -> tuple[int, int]:
    """Return what is charged before execution, and the floor that the calldata sets (EIP-7623)."""
    data = transaction.data
    zeros = data.count(0)
    tokens = zeros + (len(data) - zeros) * TOKENS_PER_NONZERO_BYTE
    gas = BASE_GAS + tokens * TOKEN_GAS
    if transaction.to is None:
        gas += CREATE_GAS + INIT_CODE_WORD_GAS * ((len(data) + _WORD_BYTES - 1) // _WORD_BYTES)
    gas += ACCESS_ADDRESS_GAS * len(transaction.access_list)
    gas += ACCESS_SLOT_GAS * sum(len(entry.slots) for entry in transaction.access_list)
    gas += AUTHORIZATION_GAS * len(transaction.authorizations)
    return gas, BASE_GAS + tokens * FLOOR_TOKEN_GAS


def validate_transaction(transaction: Transaction, *, chain_id: int = MAINNET_CHAIN_ID) -> None:
    """Check every rule that needs no state.

    Raises:
        TransactionRuleError: The first rule that the transaction breaks.
    """
    if transaction.chain_id not in (None, chain_id):
        raise TransactionRuleError(f"it is for chain {transaction.chain_id}, not {chain_id}")
    if transaction.nonce > MAX_NONCE:
        raise TransactionRuleError(f"its nonce is above {MAX_NONCE} (EIP-2681)")
    if transaction.gas > MAX_GAS:
        raise TransactionRuleError(f"its gas limit {transaction.gas} is above 2^24 (EIP-7825)")
    if transaction.to is None and len(transaction.data) > MAX_INIT_CODE_BYTES:
        raise TransactionRuleError(
            f"its init code has {len(transaction.data)} bytes, more than {MAX_INIT_CODE_BYTES}"
            " (EIP-3860)"
        )
    if transaction.max_priority_fee_per_gas > transaction.max_fee_per_gas:
        raise TransactionRuleError("its priority fee is above its fee cap (EIP-1559)")
    intrinsic, floor = compute_intrinsic_gas(transaction)
    if transaction.gas < intrinsic:
        raise TransactionRuleError(
            f"its gas limit {transaction.gas} is below the {intrinsic} charged before execution"
        )
    if transaction.gas < floor:
        raise TransactionRuleError(
            f"its gas limit {transaction.gas} is below its calldata's floor {floor} (EIP-7623)"
        )
    if transaction.type == BLOB:
        _validate_blobs(transaction)
    if transaction.type == SET_CODE and not transaction.authorizations:
        raise TransactionRuleError("its authorisation list is empty (EIP-7702)")


def _validate_blobs(transaction: Transaction) -> None:
    hashes = transaction.blob_versioned_hashes
    if not hashes:
        raise TransactionRuleError("it is a blob transaction without blobs (EIP-4844)")
    if len(hashes) > MAX_BLOBS:
        raise TransactionRuleError(
            f"it names {len(hashes)} blobs, more than {MAX_BLOBS} (EIP-7594)"
        )
    if any(versioned[0] != _KZG_VERSION for versioned in hashes):
        raise TransactionRuleError("a blob's versioned hash is not of version 1 (EIP-4844)")
    if not transaction.has_sidecar:
        raise TransactionRuleError("its blobs did not come along: send it in its network form")
