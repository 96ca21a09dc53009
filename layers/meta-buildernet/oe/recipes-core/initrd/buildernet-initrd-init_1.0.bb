# SPDX-License-Identifier: MIT
SUMMARY = "The initrd's one program, the same in both flavours"
DESCRIPTION = "Finds the root and its hash tree by their GUIDs, opens them with dm-verity, starts systemd."
HOMEPAGE = "https://buildernet.org"
LICENSE = "MIT"
LIC_FILES_CHKSUM = "file://${COMMON_LICENSE_DIR}/MIT;md5=0835ade698e0bcf8506ecda2f7b4f302"

require include/partitions.inc
FILESEXTRAPATHS:prepend := "${BUILDERNET_ROOT}/layers/meta-buildernet/files/initrd:"
SRC_URI = "file://init"

S = "${UNPACKDIR}"
INHIBIT_DEFAULT_DEPS = "1"

inherit allarch

do_configure[noexec] = "1"
do_compile[noexec] = "1"

do_install() {
    sed -e 's/@ROOT_PARTUUID@/${ROOT_PARTUUID}/' -e 's/@VERITY_PARTUUID@/${VERITY_PARTUUID}/' \
        ${S}/init > ${D}/init
    chmod 0755 ${D}/init
    # The kernel has everything built in: no module to load.
    : > ${D}/modules
    install -d ${D}/dev ${D}/proc ${D}/sys ${D}/sysroot
}

FILES:${PN} = "/init /modules /dev /proc /sys /sysroot"
RDEPENDS:${PN} = "busybox cryptsetup util-linux-findfs"
