# SPDX-License-Identifier: MIT
SUMMARY = "What makes the development image one: SSH, consoles, its own firewall and name"
LICENSE = "MIT"

require include/services.inc
DEPENDS = "build-root"
RUN_IN_BUILD_ROOT = "run-in-build-root ${COMPONENTS_DIR}/build-root ${WORKDIR} --"

SRC_URI += "file://development"

do_install() {
    cp -a ${UNPACKDIR}/. ${B}/source
    install_configuration ${COMPONENT} development
    cp -a ${UNPACKDIR}/development/. ${COMPONENT}/
}
