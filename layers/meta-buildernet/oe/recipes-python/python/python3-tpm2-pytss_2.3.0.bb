# SPDX-License-Identifier: MIT
SUMMARY = "Bindings of the TPM2 software stack"
DESCRIPTION = "Quotes and reads a TPM by the enhanced system API of tpm2-tss."
HOMEPAGE = "https://github.com/tpm2-software/tpm2-pytss"
LICENSE = "BSD-2-Clause"
LIC_FILES_CHKSUM = "file://LICENSE;md5=500b2e742befc3da00684d8a1d5fd9da"
# Not the 3.0.0 of uv.lock: that one asks for cryptography 47, wrynose has 46.
SRC_URI[sha256sum] = "20071129379656f5f3c3bc16d364612672b147d81191fb4eb9f9ff9fbee48410"

inherit pypi python_setuptools_build_meta pkgconfig

DEPENDS += "\
    python3-cffi-native \
    python3-cryptography-native \
    python3-packaging-native \
    python3-pkgconfig-native \
    python3-pycparser-native \
    python3-setuptools-scm-native \
    tpm2-tss \
"

RDEPENDS:${PN} = " \
    python3-cffi \
    python3-core \
    python3-cryptography \
    python3-logging \
    python3-packaging \
    tpm2-tss \
"
