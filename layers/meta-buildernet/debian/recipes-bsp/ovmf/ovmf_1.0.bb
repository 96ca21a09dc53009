# SPDX-License-Identifier: MIT
SUMMARY = "The firmware that measurements are published for: Debian's OVMF, code and variables in one file"
LICENSE = "BSD-2-Clause-Patent"

DEBIAN_SET = "firmware"
inherit debian-packages
