# SPDX-License-Identifier: MIT
SUMMARY = "Initrd: busybox, veritysetup, the modules that reach a disk, and /init"
LICENSE = "MIT & GPL-2.0-only"

require include/partitions.inc
FILESEXTRAPATHS:prepend := "${BUILDERNET_ROOT}/layers/meta-buildernet/files/initrd:"
SRC_URI = "file://init"
DEPENDS = "build-root debian-target"

# Disks of QEMU, GCP and Azure (NVMe is built in), and what opens the root.
INITRD_MODULES = "virtio_blk virtio_scsi sd_mod hv_storvsc sha256_ssse3 dm_verity erofs"
INITRD_MODULES[doc] = "Kernel modules that /init loads, with what they depend on"

TARGET_ROOT = "${COMPONENTS_DIR}/debian-target"
RUN = "run-in-build-root ${COMPONENTS_DIR}/build-root ${WORKDIR} --read ${COMPONENTS_DIR} --"

do_install[cleandirs] = "${COMPONENT} ${B} ${WORKDIR}/modules"
do_install() {
    root=${B}/root
    install -d $root/bin $root/dev $root/proc $root/sys $root/sysroot \
        $root/usr/lib/x86_64-linux-gnu
    ln -s usr/lib $root/lib
    ln -s usr/lib/x86_64-linux-gnu $root/lib64
    sed -e 's/@ROOT_PARTUUID@/${ROOT_PARTUUID}/' -e 's/@VERITY_PARTUUID@/${VERITY_PARTUUID}/' \
        ${UNPACKDIR}/init > $root/init
    chmod 0755 $root/init
    install -m 0755 ${TARGET_ROOT}/usr/bin/busybox $root/bin/busybox
    install_with_libraries usr/sbin/veritysetup
    install_with_libraries usr/sbin/findfs
    install_modules
    cd $root
    find . -exec touch -h -d @${SOURCE_DATE_EPOCH} {} +
    find . | LC_ALL=C sort > ${B}/list
    ${RUN} sh -c 'cd ${B}/root && cpio --quiet -o -H newc --reproducible -R 0:0 < ${B}/list > ${B}/initrd.cpio'
    ${RUN} zstd -q -19 -T1 ${B}/initrd.cpio -o ${B}/initrd.cpio.zst
    install -m 0644 ${B}/initrd.cpio.zst ${COMPONENT}/
}

# A program of the target, and the libraries that the target's own loader would give it.
install_with_libraries() {
    install -m 0755 ${TARGET_ROOT}/$1 $root/bin/
    libraries=${TARGET_ROOT}/usr/lib/x86_64-linux-gnu
    ${RUN} $libraries/ld-linux-x86-64.so.2 --library-path $libraries --list ${TARGET_ROOT}/$1 |
        sed -n 's/.* => \(.*\) (0x.*/\1/p' > ${B}/libraries
    while read -r library; do
        install -m 0755 $library $root/usr/lib/x86_64-linux-gnu/
    done < ${B}/libraries
    install -m 0755 $libraries/ld-linux-x86-64.so.2 $root/usr/lib/x86_64-linux-gnu/
}

# The modules, unpacked because the whole is compressed, with the one index that busybox's modprobe reads.
install_modules() {
    install -d ${WORKDIR}/modules/lib/modules
    cp -a ${TARGET_ROOT}/usr/lib/modules/. ${WORKDIR}/modules/lib/modules/
    version=$(ls ${WORKDIR}/modules/lib/modules)
    ${RUN} depmod --basedir ${WORKDIR}/modules $version
    for module in ${INITRD_MODULES}; do
        ${RUN} modprobe -d ${WORKDIR}/modules -S $version --show-depends $module
        echo $module >> $root/modules
    done | sed -n 's/^insmod \([^ ]*\).*/\1/p' | sort -u > ${B}/paths
    install -d $root/usr/lib/modules/$version
    while read -r path; do
        ${RUN} xz -dc $path > $root/usr/lib/modules/$version/$(basename $path .xz)
    done < ${B}/paths
    ${RUN} depmod --basedir $root/usr $version
    find $root/usr/lib/modules/$version -name 'modules.*' ! -name modules.dep -delete
}
