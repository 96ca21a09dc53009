# SPDX-License-Identifier: MIT
SUMMARY = "FUSE file systems in Python, for the simulated TEE of the development image"
DESCRIPTION = "Binds libfuse by ctypes; nothing of it is in the production image, which has no FUSE file system."
HOMEPAGE = "https://github.com/mxmlnkn/mfusepy"
LICENSE = "ISC"
LIC_FILES_CHKSUM = "file://LICENSE;md5=62985e35bb52b272658f467939306759"
SRC_URI[sha256sum] = "338ece54513d7d1a5e9492837679a0c7432ecf96a03490a2683a1ce1d19570e1"

inherit pypi python_setuptools_build_meta

# It opens libfuse3 by name.
RDEPENDS:${PN} = "fuse3 python3-core python3-ctypes python3-logging python3-threading"
