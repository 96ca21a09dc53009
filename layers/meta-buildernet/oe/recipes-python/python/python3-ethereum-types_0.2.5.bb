# SPDX-License-Identifier: MIT
SUMMARY = "Fixed-size integers and bytes of Ethereum's specifications"
DESCRIPTION = "Integers that never wrap and bytes of a fixed length, as the specifications use them."
HOMEPAGE = "https://github.com/ethereum/ethereum-types"
LICENSE = "CC0-1.0"
LIC_FILES_CHKSUM = "file://LICENSE.md;md5=97089cfa99c3ae3c20bcb68f50af93cc"
SRC_URI[sha256sum] = "6097294cd974a8ac66b4130897d56671aadd44d3455a339104685ccafed4a44e"

PYPI_PACKAGE = "ethereum_types"
inherit pypi python_setuptools_build_meta

RDEPENDS:${PN} = "python3-core python3-numbers python3-typing-extensions"
