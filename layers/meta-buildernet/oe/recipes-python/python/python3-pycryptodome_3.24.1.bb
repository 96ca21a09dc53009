# SPDX-License-Identifier: MIT
SUMMARY = "Cryptographic primitives; the services take Keccak from it"
DESCRIPTION = "wrynose has 3.23.0; services/pyproject.toml asks for 3.24."
HOMEPAGE = "https://www.pycryptodome.org"
LICENSE = "Unlicense & BSD-2-Clause"
LIC_FILES_CHKSUM = "file://LICENSE.rst;md5=29242a70410a4eeff488a28164e7ab93"
SRC_URI[sha256sum] = "3f9e74444c0ecbec7af232a95d282c74b114d53212ce075ed17b7fd7dca32bb3"

# Taken by distributions that prefer it (conf/distro/buildernet.conf); others keep openembedded-core's.
DEFAULT_PREFERENCE = "-1"

inherit pypi python_setuptools_build_meta

PACKAGES =+ "${PN}-tests"
FILES:${PN}-tests = "${PYTHON_SITEPACKAGES_DIR}/Crypto/SelfTest"

RDEPENDS:${PN} = "python3-cffi python3-core python3-ctypes python3-io python3-math"
RDEPENDS:${PN}-tests = "${PN} python3-unittest"

BBCLASSEXTEND = "native nativesdk"
