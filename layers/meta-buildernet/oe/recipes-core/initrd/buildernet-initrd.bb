# SPDX-License-Identifier: MIT
SUMMARY = "Initrd: busybox, veritysetup, findfs and /init"
DESCRIPTION = "Goes into the UKI of both images, so it has no measurements of its own."
HOMEPAGE = "https://buildernet.org"
LICENSE = "MIT"

PACKAGE_INSTALL = "buildernet-initrd-init"
IMAGE_FEATURES = ""
IMAGE_LINGUAS = ""
IMAGE_FSTYPES = "cpio.zst"
IMAGE_NAME_SUFFIX = ""
NO_RECOMMENDATIONS = "1"
# Level 19, one thread: the same bytes on every builder.
ZSTD_DEFAULTS = "-19 -T1"

inherit core-image

# Links that /init relies on: it knows /bin only.
initrd_links() {
    for program in findfs veritysetup; do
        [ -e ${IMAGE_ROOTFS}${bindir}/$program ] || ln -s ../sbin/$program ${IMAGE_ROOTFS}${bindir}/$program
    done
}
# What packages bring and an initrd never reads.
initrd_prune() {
    rm -rf ${IMAGE_ROOTFS}/var ${IMAGE_ROOTFS}${sysconfdir} ${IMAGE_ROOTFS}/boot ${IMAGE_ROOTFS}/home \
        ${IMAGE_ROOTFS}${libdir}/opkg ${IMAGE_ROOTFS}${nonarch_libdir}/systemd \
        ${IMAGE_ROOTFS}${nonarch_libdir}/udev ${IMAGE_ROOTFS}${datadir}
}
ROOTFS_POSTPROCESS_COMMAND += "initrd_links"
IMAGE_PREPROCESS_COMMAND += "initrd_prune"
