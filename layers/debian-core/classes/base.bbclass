# SPDX-License-Identifier: MIT
# Every recipe inherits this class: fetch, unpack, install, build.
#
#   do_fetch    the only task with network; checksums are mandatory
#   do_unpack   sources into ${UNPACKDIR}
#   do_install  left to recipes and classes: makes ${COMPONENT}, complete and from nothing
#   do_build    the default target

do_fetch[network] = "1"
do_fetch[vardeps] += "SRC_URI"
do_fetch[file-checksums] = "${@bb.fetch.get_checksum_file_list(d)}"
python do_fetch() {
    uris = (d.getVar("SRC_URI") or "").split()
    try:
        bb.fetch2.Fetch(uris, d).download()
    except bb.fetch2.BBFetchException as error:
        bb.fatal(str(error))
}
addtask fetch

do_unpack[cleandirs] = "${UNPACKDIR}"
do_unpack[postfuncs] += "unpack_modes"
python do_unpack() {
    uris = (d.getVar("SRC_URI") or "").split()
    try:
        bb.fetch2.Fetch(uris, d).unpack(d.getVar("UNPACKDIR"))
    except bb.fetch2.BBFetchException as error:
        bb.fatal(str(error))
}
addtask unpack after do_fetch

# A checkout's modes follow the umask of whoever made it; only "executable" is content.
unpack_modes() {
    chmod -R u=rwX,go=rX ${UNPACKDIR}
}

do_install[cleandirs] = "${COMPONENT} ${B}"
do_install[dirs] = "${B}"
do_install() {
    :
}
addtask install after do_unpack

do_build() {
    :
}
addtask build after do_install

# A recipe that uses another's component names it in DEPENDS.
DEPENDS ??= ""
do_install[deptask] = "do_install"
