# SPDX-License-Identifier: MIT
SUMMARY = "What makes the development image one: SSH, consoles, its own firewall and name"
DESCRIPTION = "The firewall is made from services/config/ports.toml. Never for orderflow: whoever has the console has the node."

BUILDERNET_VARIANT = "development"
require buildernet-variant.inc

SRC_URI += "file://development"

do_install:append() {
    cp -R --no-preserve=ownership ${S}/development/. ${D}/
    chown -R root:root ${D}
    # openembedded-core has the program elsewhere.
    sed -i s:/usr/lib/openssh/sftp-server:${libexecdir}/sftp-server: ${D}${sysconfdir}/ssh/sshd_config
}

RDEPENDS:${PN} = "bash buildernet-accounts-dev openssh-keygen openssh-sftp-server openssh-sshd util-linux-agetty"
RCONFLICTS:${PN} = "buildernet-production"
