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
