# SPDX-License-Identifier: MIT
SUMMARY = "The production image: nobody logs in, its operator included"

require buildernet-image.inc

BUILDERNET_VARIANT = "production"

# Credentials that the host hands in (SMBIOS, fw_cfg, ESP) could bring units, users and settings.
UKI_CMDLINE:append = " systemd.import_credentials=no"

# Programs and units by which somebody could get a prompt.
ROOTFS_REMOVED_FILES += " \
    usr/sbin/agetty usr/sbin/getty usr/sbin/sulogin usr/sbin/runuser usr/bin/su usr/bin/login* \
    usr/lib/systemd/system/*getty* usr/lib/systemd/system/*.wants/*getty* usr/lib/systemd/system-generators/*getty* \
    usr/lib/systemd/system/debug-shell.service usr/lib/systemd/system/emergency.* usr/lib/systemd/system/rescue* \
    usr/lib/systemd/system-generators/systemd-debug-generator \
"
