# SPDX-License-Identifier: MIT
"""Ethereum's values: keccak, addresses, secp256k1 signatures, transactions. Bytes in, typed values out; no I/O."""
