# SPDX-License-Identifier: MIT
SUMMARY = "What the development image has beside the packages of debian-target"
LICENSE = "Various"

DEBIAN_SET = "target-dev"
DEBIAN_SET_BASE = "target"
inherit debian-packages
