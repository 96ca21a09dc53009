# SPDX-License-Identifier: MIT
SUMMARY = "What the services import: wheels from PyPI, the versions of uv.lock"
LICENSE = "Various"

UV_LOCK = "${BUILDERNET_ROOT}/uv.lock"
UV_PROJECT = "buildernet"
inherit python-wheels

# The services start without their libraries' command lines.
do_install:append() {
    rm -rf ${COMPONENT}/usr/bin
}
