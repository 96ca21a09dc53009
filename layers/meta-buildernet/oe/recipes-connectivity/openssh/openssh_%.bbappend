# SPDX-License-Identifier: MIT
# The development image has its own settings (files/development/etc/ssh), in the package
# buildernet-development.

do_install:append:buildernet() {
    rm ${D}${sysconfdir}/ssh/sshd_config
}
