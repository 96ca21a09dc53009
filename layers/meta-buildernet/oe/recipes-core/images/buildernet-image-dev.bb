# SPDX-License-Identifier: MIT
SUMMARY = "The development image: SSH, a console, the simulated TEE; its own measurements, never for orderflow"
DESCRIPTION = "From source; the same content as debian/recipes-core/images/buildernet-image-dev.bb."

require buildernet-image.inc

BUILDERNET_VARIANT = "development"
IMAGE_INSTALL += " \
    bash \
    buildernet-development \
    buildernet-tools \
    curl \
    iproute2 \
    less \
    openssh-ssh \
    procps \
    python3-tpm2-pytss \
    simulated-tee \
"
