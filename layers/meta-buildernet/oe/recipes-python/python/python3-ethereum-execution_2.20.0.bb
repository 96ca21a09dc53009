# SPDX-License-Identifier: MIT
SUMMARY = "Ethereum's execution specification; the services use its transactions"
DESCRIPTION = "Executable specification of every fork; here for decoding, types and signing hashes of transactions."
HOMEPAGE = "https://github.com/ethereum/execution-specs"
LICENSE = "CC0-1.0"
LIC_FILES_CHKSUM = "file://LICENSE.md;md5=6c7adf01c73edd082d58a8a8df1146f2"
SRC_URI[sha256sum] = "53af8b2d71b4550ec08ed900beb61364e1ccdba45ec2464bf5eba1c29593b30a"

PYPI_PACKAGE = "ethereum_execution"
inherit pypi python_setuptools_build_meta

# Of what it asks for, only what the transactions import: not the precompiles (py-ecc), not the tools
# that write specifications (libcst, platformdirs). pyproject.toml overrides the same in uv.lock.
RDEPENDS:${PN} = " \
    python3-coincurve \
    python3-core \
    python3-cryptography \
    python3-ethereum-rlp \
    python3-ethereum-types \
    python3-pycryptodome \
    python3-typing-extensions \
"
