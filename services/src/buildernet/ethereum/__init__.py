# SPDX-License-Identifier: MIT
"""Ethereum's values: keccak, addresses, secp256k1 signatures, transactions.

Bytes in, typed values out; nothing here does I/O but the loading of a signing key's file.
"""
