# SPDX-License-Identifier: MIT
SUMMARY = "The production image: nobody logs in, its operator included"
DESCRIPTION = "From source; the same content as debian/recipes-core/images/buildernet-image.bb."

require buildernet-image.inc

BUILDERNET_VARIANT = "production"
IMAGE_INSTALL += "buildernet-production"

# Credentials that the host hands in (SMBIOS, fw_cfg, ESP) could bring units, users and settings.
UKI_CMDLINE:append = " systemd.import_credentials=no"

PRUNED_FILES += "${LOGIN_FILES}"
