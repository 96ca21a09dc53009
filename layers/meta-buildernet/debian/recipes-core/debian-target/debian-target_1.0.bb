# SPDX-License-Identifier: MIT
SUMMARY = "The Debian packages of the production image, unpacked"
LICENSE = "Various"

DEBIAN_SET = "target"
inherit debian-packages

# Modules for hardware and protocols that a trust domain never has: what is not there cannot be loaded,
# by mistake or by an attacker. What remains: disks and network cards of QEMU, GCP, Azure and AWS,
# device mapper, nftables, TPM and TDX.
DROPPED_DRIVERS = "ata bus cdrom comedi cpufreq cxl dax gpu hid hwtracing infiniband input leds media mfd \
    nvdimm platform powercap pps soundwire target thermal uio vdpa vfio vhost video xen"
DROPPED_FILE_SYSTEMS = "bcachefs btrfs cachefiles ceph exfat isofs lockd netfs nfs nfs_common nfsd ntfs3 \
    orangefs quota romfs smb squashfs sysv udf xfs zonefs"
DROPPED_PROTOCOLS = "802 ceph dccp ife kcm l2tp mpls nsh openvswitch psample rds sctp smc sunrpc tipc"
MODULES = "usr/lib/modules/*/kernel"
DEBIAN_DROPPED_FILES = " \
    ${@' '.join(f'{d.getVar("MODULES")}/drivers/{name}/*' for name in d.getVar('DROPPED_DRIVERS').split())} \
    ${@' '.join(f'{d.getVar("MODULES")}/fs/{name}/*' for name in d.getVar('DROPPED_FILE_SYSTEMS').split())} \
    ${@' '.join(f'{d.getVar("MODULES")}/net/{name}/*' for name in d.getVar('DROPPED_PROTOCOLS').split())} \
    ${MODULES}/arch/x86/kvm/* ${MODULES}/virt/* ${MODULES}/drivers/md/bcache/* ${MODULES}/drivers/md/raid* \
    ${MODULES}/drivers/md/md-mod* ${MODULES}/drivers/md/dm-vdo/* \
    usr/lib/x86_64-linux-gnu/gconv/* usr/lib/udev/hwdb.d/* usr/lib/valgrind/* usr/lib/locale/* \
"
