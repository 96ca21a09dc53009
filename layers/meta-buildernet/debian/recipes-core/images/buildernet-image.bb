# SPDX-License-Identifier: MIT
SUMMARY = "The production image: nobody logs in, its operator included"

require buildernet-image.inc

BUILDERNET_VARIANT = "production"

# Credentials that the host hands in (SMBIOS, fw_cfg, ESP) could bring units, users and settings.
UKI_CMDLINE:append = " systemd.import_credentials=no"

ROOTFS_REMOVED_FILES += "${LOGIN_FILES}"
