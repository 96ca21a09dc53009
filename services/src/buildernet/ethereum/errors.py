# SPDX-License-Identifier: MIT
"""Errors of Ethereum's formats."""

from buildernet.base.errors import BuildernetError, ConfigError


class EthereumError(BuildernetError):
    """An Ethereum value is malformed or breaks a rule of the protocol."""


class AddressFormatError(EthereumError):
    """A text or byte string is no address."""


class SignatureError(EthereumError):
    """A signature is malformed, is not of the address that it names, or is not over these bytes."""


class MissingSignatureError(SignatureError):
    """A request carries no signature."""


class TransactionFormatError(EthereumError):
    """Bytes are no transaction of a known type in its canonical encoding."""


class TransactionRuleError(EthereumError):
    """A transaction is well-formed, but no block may hold it."""


class SigningKeyError(ConfigError):
    """A signing key cannot be read, or is no secp256k1 key."""
