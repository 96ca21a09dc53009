# SPDX-License-Identifier: MIT
SUMMARY = "The development image: SSH, a console, the simulated TEE"
DESCRIPTION = "From source, with the content of the Debian flavour's. It has its own measurements and is never for orderflow."

require buildernet-image.inc

BUILDERNET_VARIANT = "development"
IMAGE_INSTALL += "\
    bash \
    buildernet-development \
    buildernet-tools \
    curl \
    iproute2 \
    less \
    openssh-ssh \
    procps \
    simulated-tee \
"

# QEMU before 8.0 emulates CMPXCHG16B wrongly, which the kernel alone notices (docs/decisions/0009): it goes
# without, so that HAProxy may have it.
UKI_CMDLINE:append = " clearcpuid=cx16"
