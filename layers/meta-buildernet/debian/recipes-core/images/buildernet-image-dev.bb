# SPDX-License-Identifier: MIT
SUMMARY = "The development image: SSH, a console, exporters; its own measurements, never for orderflow"

require buildernet-image.inc

BUILDERNET_VARIANT = "development"
ROOTFS_COMPONENTS = "debian-target debian-target-dev python-wheels python-wheels-dev buildernet simulated-tee buildernet-dev"
BUILDERNET_PACKAGE_SETS += "target-dev"

# QEMU before 8.0 emulates CMPXCHG16B wrongly, which the kernel alone notices (docs/decisions/0009): it goes
# without, so that HAProxy may have it.
UKI_CMDLINE:append = " clearcpuid=cx16"
