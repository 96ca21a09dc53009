# SPDX-License-Identifier: MIT
# busybox is in the initrd alone; /init makes its links there.

FILESEXTRAPATHS:prepend:buildernet := "${THISDIR}/busybox:"
SRC_URI:append:buildernet = " file://initrd.cfg"
