# SPDX-License-Identifier: MIT
SUMMARY = "BuilderNet node, production image"
DESCRIPTION = "A small systemd system as an erofs root. \
Services, UKI and verity follow with the content of the Yocto flavour."
LICENSE = "MIT"

inherit core-image

IMAGE_INSTALL = "packagegroup-core-boot"
# Empty on purpose: every feature is one more thing in a measured image.
IMAGE_FEATURES = ""
IMAGE_LINGUAS = ""
IMAGE_FSTYPES = "erofs"
