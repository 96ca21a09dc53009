# SPDX-License-Identifier: MIT
SUMMARY = "Simulated TDX for the development image: configfs-tsm by FUSE, quotes under a public chain"
LICENSE = "MIT"
DESCRIPTION = "Its keys are in the source tree, so its quotes prove nothing to anyone who does not ask for them."

FILESEXTRAPATHS:prepend := "${BUILDERNET_ROOT}/tests:${BUILDERNET_ROOT}/services/src/buildernet:${BUILDERNET_ROOT}/layers/meta-buildernet/files:"
SRC_URI = "file://support/simulated_tee file://support/minted_chain.py file://support/minted_pki.py \
    file://measure file://simulated-tee.service \
    file://simulated-tee.conf file://simulated-tee.client.conf file://simulated-tee.registration.conf \
    file://simulated-tee.peers.conf"

do_install() {
    # The package keeps the name that it has in the source tree.
    install -d ${COMPONENT}/usr/lib/simulated-tee/tests ${COMPONENT}/usr/lib/python3/dist-packages/buildernet \
        ${COMPONENT}/usr/lib/systemd/system
    cp -a ${UNPACKDIR}/support ${COMPONENT}/usr/lib/simulated-tee/tests/
    cp -a ${UNPACKDIR}/measure ${COMPONENT}/usr/lib/python3/dist-packages/buildernet/
    find ${COMPONENT} -name __pycache__ -prune -exec rm -r {} +
    install -m 0644 ${UNPACKDIR}/simulated-tee.service ${COMPONENT}/usr/lib/systemd/system/
    install_evidence attested-proxy simulated-tee.conf
    install_evidence attested-proxy-client simulated-tee.client.conf
    install_evidence node-registration simulated-tee.registration.conf
    install_evidence orderflow-proxy simulated-tee.peers.conf
}

# install_evidence UNIT FILE: where the unit's evidence comes from.
install_evidence() {
    install -d ${COMPONENT}/usr/lib/systemd/system/$1.service.d
    install -m 0644 ${UNPACKDIR}/$2 ${COMPONENT}/usr/lib/systemd/system/$1.service.d/simulated-tee.conf
}
