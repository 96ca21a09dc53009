# SPDX-License-Identifier: MIT
SUMMARY = "Bindings of libsecp256k1, the signatures of Ethereum"
DESCRIPTION = "Signs, recovers and checks; libsecp256k1 through cffi, from the recipe beside this one."
HOMEPAGE = "https://github.com/ofek/coincurve"
LICENSE = "MIT | Apache-2.0"
LIC_FILES_CHKSUM = " \
    file://LICENSE-MIT;md5=388b1e32639feccde602f679e55f1e26 \
    file://LICENSE-APACHE;md5=c095d68fd956360d26e013d3f3739e94 \
"
DEPENDS = " \
    libsecp256k1 \
    python3-cffi-native \
    python3-scikit-build-core-native \
    python3-setuptools-native \
"

SRC_URI[sha256sum] = "8b37ce4265a82bebf0e796e21a769e56fdbf8420411ccbe3fafee4ed75b6a6e5"

inherit pypi python_hatchling cmake pkgconfig

# hatch_build.py would put the builder's own cffi into the wheel, which is native and the wrong one.
SRC_URI += "file://0001-no-copy-of-the-builder-s-cffi.patch"

# The library that the recipe beside this one builds, not one fetched while compiling.
export COINCURVE_IGNORE_SYSTEM_LIB = "OFF"
export COINCURVE_VENDOR_CFFI = "0"
export SKBUILD_CMAKE_ARGS = "-DCMAKE_TOOLCHAIN_FILE=${WORKDIR}/toolchain.cmake"

# CMake is started by the wheel's backend, with the toolchain file that the class writes.
do_configure[noexec] = "1"
do_compile() {
    python_pep517_do_compile
}
do_install() {
    python_pep517_do_install
}

RDEPENDS:${PN} = "libsecp256k1 python3-asn1crypto python3-cffi python3-core"
