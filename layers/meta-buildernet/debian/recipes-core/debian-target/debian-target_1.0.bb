# SPDX-License-Identifier: MIT
SUMMARY = "The Debian packages of the production image, unpacked"
LICENSE = "Various"

DEBIAN_LOCK = "${BUILDERNET_LOCKS}/target.lock.json"

inherit debian-packages
