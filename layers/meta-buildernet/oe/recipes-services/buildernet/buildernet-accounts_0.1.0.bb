# SPDX-License-Identifier: MIT
SUMMARY = "Users and groups of the services, with the numbers that they have in every image"
DESCRIPTION = "The same as services/systemd/buildernet.sysusers.conf, which a test compares."
HOMEPAGE = "https://buildernet.org"
SECTION = "base"
LICENSE = "MIT"
LIC_FILES_CHKSUM = "file://${COMMON_LICENSE_DIR}/MIT;md5=0835ade698e0bcf8506ecda2f7b4f302"

# Nothing to unpack: what this recipe makes is in the package's own scripts.
SRC_URI = ""

inherit allarch useradd

do_configure[noexec] = "1"
do_compile[noexec] = "1"

PACKAGES = "${PN} ${PN}-dev"
ALLOW_EMPTY:${PN} = "1"
ALLOW_EMPTY:${PN}-dev = "1"
SUMMARY:${PN}-dev = "Users of the development image beside those of the production image"
RDEPENDS:${PN}-dev = "${PN}"

# Names: what systemd-sysusers reads in the other flavour. Numbers: include/accounts/passwd (tested).
ACCOUNT = "--system --no-create-home --user-group --home-dir / --shell ${sbindir}/nologin"
USERADD_PACKAGES = "${PN} ${PN}-dev"
USERADD_PARAM:${PN} = "${@sysusers(d, 'services/systemd/buildernet.sysusers.conf')}"
# sshd is made by openssh's own recipe.
USERADD_PARAM:${PN}-dev = "${ACCOUNT} prometheus"

def sysusers(d, name):
    """The parameters of useradd for the users of a sysusers.d file."""
    path = os.path.join(d.getVar("BUILDERNET_ROOT"), name)
    bb.parse.mark_dependency(d, path)
    with open(path) as file:
        users = [line.split()[1] for line in file if line.startswith("u")]
    return "; ".join("${ACCOUNT} " + user for user in users)
