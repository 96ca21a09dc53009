# SPDX-License-Identifier: MIT
SUMMARY = "The tools that make file systems, UKIs and disks, from pinned packages"
LICENSE = "Various"
DESCRIPTION = "A folder to run commands in with bin/run-in-build-root; never part of an image."

DEBIAN_SET = "build-tools"
inherit debian-packages

# What Debian's maintainer scripts leave in /etc and a tool in the build root looks for.
do_install[postfuncs] += "write_accounts"
write_accounts() {
    install -d ${COMPONENT}/etc
    echo 'root:x:0:0:root:/tmp:/bin/sh' > ${COMPONENT}/etc/passwd
    echo 'root:x:0:' > ${COMPONENT}/etc/group
}
