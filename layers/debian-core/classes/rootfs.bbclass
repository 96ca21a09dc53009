# SPDX-License-Identifier: MIT
# Assembles a root file system from the components of other recipes, and does what Debian's maintainer
# scripts would have done, with systemd's own tools where there is one:
#
#   accounts     base-passwd's master copies, then systemd-sysusers
#   units        systemctl preset-all, by the presets that the components carry
#   libraries    ldconfig          modules    depmod          certificates  one bundle file
#   Python       byte code with unchecked hashes, so that no time stamp is compared at start
#
# Every file belongs to root; nothing in the root needs another owner, because services keep what they
# own in folders that systemd makes at boot. Empty folders are kept: they are mount points.

ROOTFS_COMPONENTS ?= ""
ROOTFS_COMPONENTS[doc] = "Recipes whose components are copied into the root, in this order; a later file replaces an earlier one"
ROOTFS_REMOVED_FILES ?= ""
ROOTFS_REMOVED_FILES[doc] = "Shell patterns of files and folders that are removed at the end, below the root"
ROOTFS_PYTHON_FOLDERS ?= "usr/lib/python3.13 usr/lib/python3/dist-packages usr/local/lib/python3.13/dist-packages"
ROOTFS_PYTHON_FOLDERS[doc] = "Folders whose Python sources get byte code"
ROOTFS_DEFAULT_TARGET ?= "multi-user.target"
ROOTFS_DEFAULT_TARGET[doc] = "The systemd target that a boot ends in"
IMAGE_ROOTFS = "${WORKDIR}/rootfs"
IMAGE_ROOTFS[doc] = "The root file system as a folder"
BB_BASEHASH_IGNORE_VARS:append = " IMAGE_ROOTFS"

RUN_IN_BUILD_ROOT = "run-in-build-root ${COMPONENTS_DIR}/build-root ${WORKDIR} --read ${COMPONENTS_DIR} --"
RUN_IN_BUILD_ROOT[doc] = "Prefix of a command that runs with the build root's tools"

DEPENDS:append = " build-root ${ROOTFS_COMPONENTS}"

addtask rootfs after do_unpack before do_install
do_rootfs[deptask] = "do_install"
do_rootfs[cleandirs] = "${IMAGE_ROOTFS}"
do_rootfs[postfuncs] += "rootfs_accounts rootfs_units rootfs_caches rootfs_python rootfs_prune"
do_rootfs() {
    for component in ${ROOTFS_COMPONENTS}; do
        cp -a --reflink=auto ${COMPONENTS_DIR}/$component/. ${IMAGE_ROOTFS}/
    done
    install -d ${IMAGE_ROOTFS}/dev ${IMAGE_ROOTFS}/proc ${IMAGE_ROOTFS}/sys ${IMAGE_ROOTFS}/run \
        ${IMAGE_ROOTFS}/tmp ${IMAGE_ROOTFS}/var ${IMAGE_ROOTFS}/root ${IMAGE_ROOTFS}/etc
    # systemd fills in a transient id when the file is there and empty.
    : > ${IMAGE_ROOTFS}/etc/machine-id
}

rootfs_accounts() {
    cp ${IMAGE_ROOTFS}/usr/share/base-passwd/passwd.master ${IMAGE_ROOTFS}/etc/passwd
    cp ${IMAGE_ROOTFS}/usr/share/base-passwd/group.master ${IMAGE_ROOTFS}/etc/group
    ${RUN_IN_BUILD_ROOT} systemd-sysusers --root=${IMAGE_ROOTFS}
    rm -f ${IMAGE_ROOTFS}/etc/*- ${IMAGE_ROOTFS}/etc/.pwd.lock
    # Made without any permission, which only a builder with real root's powers could read.
    chmod 0400 ${IMAGE_ROOTFS}/etc/shadow ${IMAGE_ROOTFS}/etc/gshadow
}

rootfs_units() {
    ${RUN_IN_BUILD_ROOT} systemctl --root=${IMAGE_ROOTFS} preset-all
    ${RUN_IN_BUILD_ROOT} systemctl --root=${IMAGE_ROOTFS} --global preset-all
    ${RUN_IN_BUILD_ROOT} systemctl --root=${IMAGE_ROOTFS} --quiet set-default ${ROOTFS_DEFAULT_TARGET}
}

rootfs_caches() {
    ${RUN_IN_BUILD_ROOT} ldconfig -r ${IMAGE_ROOTFS} -X
    rm -rf ${IMAGE_ROOTFS}/var/cache/ldconfig
    for version in $(ls ${IMAGE_ROOTFS}/usr/lib/modules); do
        ${RUN_IN_BUILD_ROOT} depmod --basedir ${IMAGE_ROOTFS}/usr $version
    done
    install -d ${IMAGE_ROOTFS}/etc/ssl/certs
    cat ${IMAGE_ROOTFS}/usr/share/ca-certificates/mozilla/*.crt > ${IMAGE_ROOTFS}/etc/ssl/certs/ca-certificates.crt
}

rootfs_python() {
    for folder in ${ROOTFS_PYTHON_FOLDERS}; do
        [ -d ${IMAGE_ROOTFS}/$folder ] || continue
        ${RUN_IN_BUILD_ROOT} python3 -m compileall -q -j 0 --invalidation-mode unchecked-hash \
            -s ${IMAGE_ROOTFS} -p / ${IMAGE_ROOTFS}/$folder
    done
}

rootfs_prune() {
    set +f
    cd ${IMAGE_ROOTFS}
    for pattern in ${ROOTFS_REMOVED_FILES}; do
        rm -rf ./$pattern
    done
}
