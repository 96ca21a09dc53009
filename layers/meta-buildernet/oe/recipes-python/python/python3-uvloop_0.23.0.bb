# SPDX-License-Identifier: MIT
SUMMARY = "Event loop of asyncio on libuv"
DESCRIPTION = "A loop for asyncio that is several times as fast as Python's own."
HOMEPAGE = "https://github.com/MagicStack/uvloop"
LICENSE = "MIT | Apache-2.0"
LIC_FILES_CHKSUM = " \
    file://LICENSE-APACHE;md5=bb92739ddad0a2811957bd98bdb90474 \
    file://LICENSE-MIT;md5=489c8bc34154e4b59f5c58e664f7d70f \
"
SRC_URI[sha256sum] = "28d160f51ab4da3b187063652e643dea6831072add4adc1e6d62afbe73b6be27"

inherit pypi python_setuptools_build_meta cython

# openembedded-core's libuv, which its maintainers mend, not the copy in the archive.
DEPENDS += "libuv"
PEP517_BUILD_OPTS = "--config-setting=--build-option=build_ext --config-setting=--build-option=--use-system-libuv"

RDEPENDS:${PN} = "libuv python3-asyncio python3-core python3-multiprocessing python3-netclient python3-threading"
