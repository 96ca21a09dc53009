# SPDX-License-Identifier: MIT
# From a root folder to an erofs file system and its dm-verity hash tree.
# Input: IMAGE_ROOTFS. Output in ${B}: root.erofs, root.verity, root.hash (hex, without newline).

BUILDERNET_RUN ??= ""
BUILDERNET_RUN[doc] = "Prefix of a command that runs with pinned tools; empty where the tools are native recipes"
VERITY_SALT ?= "4275696c6465724e657420726f6f742066696c652073797374656d2073616c74"
VERITY_SALT[doc] = "Salt of the hash tree, hex: fixed, because a random one would change every measurement"
EROFS_OPTIONS ?= "-zzstd,level=3 -C65536"
EROFS_OPTIONS[doc] = "Compression of the root: higher levels save a fifth of the size for a hundred times the time"

addtask verity after do_rootfs before do_install
do_verity[cleandirs] = "${B}/verity"
do_verity[umask] = "022"
do_verity() {
    cd ${B}/verity
    ${BUILDERNET_RUN} mkfs.erofs --quiet --all-root --workers=1 -x-1 -T${SOURCE_DATE_EPOCH} --ignore-mtime \
        -U${EROFS_UUID} ${EROFS_OPTIONS} ${B}/verity/root.erofs ${IMAGE_ROOTFS}
    ${BUILDERNET_RUN} veritysetup format --hash=sha256 --salt=${VERITY_SALT} --uuid=${VERITY_UUID} \
        --root-hash-file=${B}/verity/root.hash ${B}/verity/root.erofs ${B}/verity/root.verity
}
