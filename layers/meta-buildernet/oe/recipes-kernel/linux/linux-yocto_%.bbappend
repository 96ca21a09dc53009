# SPDX-License-Identifier: MIT
# What a node needs of its kernel, one concern per fragment; each says why. All is built in: the image
# holds no modules, so nothing can be loaded, by mistake or by an attacker.

FILESEXTRAPATHS:prepend:buildernet := "${THISDIR}/linux-yocto:"
SRC_URI:append:buildernet = " \
    file://tdx.cfg \
    file://tpm.cfg \
    file://verity.cfg \
    file://data-disk.cfg \
    file://virtio.cfg \
    file://hyperv.cfg \
    file://gcp.cfg \
    file://firewall.cfg \
    file://fuse.cfg \
    file://systemd.cfg \
    file://hardening.cfg \
    file://absent.cfg \
"
