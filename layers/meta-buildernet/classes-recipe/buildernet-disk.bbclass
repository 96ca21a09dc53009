# SPDX-License-Identifier: MIT
# One GPT disk: ESP with the UKI as the default boot entry, root, hash tree. Every identifier, size and
# time stamp is fixed or follows from the content, since the partition table is measured.
# Output in ${B}/disk: disk.raw.

# 48 MiB holds a UKI of about twice today's size; FAT32 needs at least 33 MiB at one sector a cluster.
ESP_MEBIBYTES ?= "48"
ESP_MEBIBYTES[doc] = "Size of the EFI system partition in MiB"

addtask disk after do_uki before do_install
do_disk[cleandirs] = "${B}/disk"
do_disk() {
    cd ${B}/disk
    make_esp
    root_sectors=$(sectors ${B}/verity/root.erofs)
    verity_sectors=$(sectors ${B}/verity/root.verity)
    esp_sectors=$(expr ${ESP_MEBIBYTES} \* 2048)
    root_start=$(expr 2048 + $esp_sectors)
    verity_start=$(expr $root_start + $root_sectors)
    # 2048 more sectors hold the backup table.
    truncate -s $(expr \( $verity_start + $verity_sectors + 2048 \) \* 512) disk.raw
    cat > layout <<LAYOUT
label: gpt
label-id: ${DISK_GUID}
unit: sectors
first-lba: 2048
start=2048, size=$esp_sectors, type=${ESP_TYPE}, uuid=${ESP_PARTUUID}, name="esp"
start=$root_start, size=$root_sectors, type=${ROOT_TYPE}, uuid=${ROOT_PARTUUID}, name="root", attrs="GUID:60"
start=$verity_start, size=$verity_sectors, type=${VERITY_TYPE}, uuid=${VERITY_PARTUUID}, name="root-verity", attrs="GUID:60"
LAYOUT
    ${BUILDERNET_RUN} sh -c 'sfdisk --quiet ${B}/disk/disk.raw < ${B}/disk/layout'
    place esp.fat 2048
    place ${B}/verity/root.erofs $root_start
    place ${B}/verity/root.verity $verity_start
    rm esp.fat
}

# The UKI stands where firmware looks first; there is no boot loader in front of it and no random seed.
make_esp() {
    install -d esp/EFI/BOOT
    install -m 0644 ${B}/uki/uki.efi esp/EFI/BOOT/BOOTX64.EFI
    find esp -exec touch -d @${SOURCE_DATE_EPOCH} {} +
    truncate -s ${ESP_MEBIBYTES}M esp.fat
    ${BUILDERNET_RUN} mkfs.fat --invariant -F 32 -s 1 -i ${ESP_VOLUME_ID} -n ESP ${B}/disk/esp.fat
    ${BUILDERNET_RUN} mcopy -s -m -Q -i ${B}/disk/esp.fat ${B}/disk/esp/EFI ::/
}

# A file's size in sectors, rounded up to a whole MiB so that every partition starts on one.
sectors() {
    expr \( $(stat -c %s $1) + 1048575 \) / 1048576 \* 2048
}

place() {
    dd if=$1 of=disk.raw bs=1M seek=$(expr $2 / 2048) conv=notrunc,sparse status=none
}
