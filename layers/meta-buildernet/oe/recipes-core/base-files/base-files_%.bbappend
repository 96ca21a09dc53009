# SPDX-License-Identifier: MIT
# The node's own are in the packages buildernet-services and buildernet-production or -development.

hostname:buildernet = ""
do_install:append:buildernet() {
    rm ${D}${sysconfdir}/fstab
    # Shown to people who log in, who do not exist here.
    rm -f ${D}${sysconfdir}/issue ${D}${sysconfdir}/issue.net ${D}${sysconfdir}/motd
}
