# SPDX-License-Identifier: MIT
# One measured file that boots: kernel, initrd, command line and os-release under systemd's stub.
# Output in ${B}/uki: uki.efi.

UKI_KERNEL ?= ""
UKI_KERNEL[doc] = "Path of the kernel image"
UKI_INITRD ?= ""
UKI_INITRD[doc] = "Path of the initrd"
# nooelint: oelint.vars.pathhardcode.libdir - of the build root, not of the image
UKI_STUB ?= "/usr/lib/systemd/boot/efi/linuxx64.efi.stub"
UKI_STUB[doc] = "Path of systemd's stub; its version decides what is measured (docs: measurements/README.md)"
UKI_UNAME ?= ""
UKI_UNAME[doc] = "Kernel release for the .uname section"
UKI_CMDLINE ?= ""
UKI_CMDLINE[doc] = "Kernel command line; the root hash is appended. It needs a console=: stubs from 261 on add one where it is missing"

addtask uki after do_verity before do_install
do_uki[cleandirs] = "${B}/uki"
do_uki() {
    printf '%s' "${UKI_CMDLINE} roothash=$(cat ${B}/verity/root.hash)" > ${B}/uki/cmdline
    ${BUILDERNET_RUN} ukify build --linux=${UKI_KERNEL} --initrd=${UKI_INITRD} --stub=${UKI_STUB} \
        --uname=${UKI_UNAME} --os-release=@${IMAGE_ROOTFS}/usr/lib/os-release \
        --cmdline=@${B}/uki/cmdline --output=${B}/uki/uki.efi
}
