# SPDX-License-Identifier: MIT
SUMMARY = "The firmware that measurements are published for: Debian's OVMF, code and variables in one file"
LICENSE = "BSD-2-Clause-Patent"

DEBIAN_LOCK = "${BUILDERNET_LOCKS}/firmware.lock.json"
inherit debian-packages
