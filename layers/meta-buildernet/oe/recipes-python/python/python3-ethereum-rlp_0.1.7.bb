# SPDX-License-Identifier: MIT
SUMMARY = "Recursive Length Prefix, Ethereum's wire format"
DESCRIPTION = "Encodes and decodes nested lists of bytes as Ethereum's protocols write them."
HOMEPAGE = "https://github.com/ethereum/ethereum-rlp"
LICENSE = "CC0-1.0"
LIC_FILES_CHKSUM = "file://LICENSE.md;md5=97089cfa99c3ae3c20bcb68f50af93cc"
SRC_URI[sha256sum] = "3dd52772318aa036e887bcc52db5f8ad7f0c54a8213fd48e52ef559962e494b9"

PYPI_PACKAGE = "ethereum_rlp"
inherit pypi python_setuptools_build_meta

RDEPENDS:${PN} = "python3-core python3-ethereum-types python3-typing-extensions"
