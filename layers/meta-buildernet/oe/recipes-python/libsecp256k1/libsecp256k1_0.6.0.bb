# SPDX-License-Identifier: MIT
SUMMARY = "Elliptic curve of Bitcoin and Ethereum"
DESCRIPTION = "Optimised C library for signatures and keys on the curve secp256k1."
HOMEPAGE = "https://github.com/bitcoin-core/secp256k1"
SECTION = "libs"
LICENSE = "MIT"
LIC_FILES_CHKSUM = "file://COPYING;md5=67330c75f8bf6a92f6f8a36ae669ba74"

# v0.6.0, the commit that coincurve 21.0.0 names in its pyproject.toml.
SRC_URI = "git://github.com/bitcoin-core/secp256k1.git;protocol=https;branch=master"
SRCREV = "0cdc758a56360bf58a851fe91085a327ec97685a"

inherit cmake

EXTRA_OECMAKE = " \
    -DBUILD_SHARED_LIBS=ON \
    -DSECP256K1_BUILD_BENCHMARK=OFF \
    -DSECP256K1_BUILD_CTIME_TESTS=OFF \
    -DSECP256K1_BUILD_EXAMPLES=OFF \
    -DSECP256K1_BUILD_EXHAUSTIVE_TESTS=OFF \
    -DSECP256K1_BUILD_TESTS=OFF \
    -DSECP256K1_ENABLE_MODULE_ECDH=ON \
    -DSECP256K1_ENABLE_MODULE_EXTRAKEYS=ON \
    -DSECP256K1_ENABLE_MODULE_RECOVERY=ON \
    -DSECP256K1_ENABLE_MODULE_SCHNORRSIG=ON \
"
