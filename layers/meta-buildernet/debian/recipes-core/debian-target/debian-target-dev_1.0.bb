# SPDX-License-Identifier: MIT
SUMMARY = "What the development image has beside the packages of debian-target"
LICENSE = "Various"

DEBIAN_LOCK = "${BUILDERNET_LOCKS}/target-dev.lock.json"
DEBIAN_LOCK_BASE = "${BUILDERNET_LOCKS}/target.lock.json"
inherit debian-packages
