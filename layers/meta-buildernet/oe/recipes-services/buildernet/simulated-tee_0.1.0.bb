# SPDX-License-Identifier: MIT
SUMMARY = "Simulated TDX for the development image"
DESCRIPTION = "configfs-tsm by FUSE, quotes under a public chain. Its keys are in the source tree, so its quotes prove nothing to anyone who does not ask for them."
HOMEPAGE = "https://buildernet.org"
SECTION = "devel"
LICENSE = "MIT"
LIC_FILES_CHKSUM = "file://${COMMON_LICENSE_DIR}/MIT;md5=0835ade698e0bcf8506ecda2f7b4f302"

FILESEXTRAPATHS:prepend := "${BUILDERNET_ROOT}/tests:${BUILDERNET_ROOT}/layers/meta-buildernet/files:"
SRC_URI = " \
    file://support/simulated_tee \
    file://support/minted_chain.py \
    file://support/minted_pki.py \
    file://simulated-tee.service \
    file://simulated-tee.conf \
    file://simulated-tee.client.conf \
    file://simulated-tee.registration.conf \
    file://simulated-tee.peers.conf \
"
S = "${UNPACKDIR}"
INHIBIT_DEFAULT_DEPS = "1"

inherit allarch

do_configure[noexec] = "1"
do_compile[noexec] = "1"

do_install() {
    # The package keeps the name that it has in the source tree.
    install -d ${D}${nonarch_libdir}/simulated-tee/tests ${D}${systemd_system_unitdir}
    cp -R --no-preserve=ownership ${S}/support ${D}${nonarch_libdir}/simulated-tee/tests/
    chown -R root:root ${D}
    find ${D} -name __pycache__ -prune -exec rm -r {} +
    install -m 0644 ${S}/simulated-tee.service ${D}${systemd_system_unitdir}/
    install_evidence attested-proxy simulated-tee.conf
    install_evidence attested-proxy-client simulated-tee.client.conf
    install_evidence node-registration simulated-tee.registration.conf
    install_evidence orderflow-proxy simulated-tee.peers.conf
}

# install_evidence UNIT FILE: where the unit's evidence comes from.
install_evidence() {
    install -d ${D}${systemd_system_unitdir}/$1.service.d
    install -m 0644 ${S}/$2 ${D}${systemd_system_unitdir}/$1.service.d/simulated-tee.conf
}

FILES:${PN} = "${nonarch_libdir}"
RDEPENDS:${PN} = "attested-proxy buildernet-measure python3-cryptography python3-mfusepy"
