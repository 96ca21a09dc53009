# SPDX-License-Identifier: MIT
SUMMARY = "The Debian packages of the production image, unpacked"
LICENSE = "Various"

DEBIAN_SET = "target"

inherit debian-packages
