# SPDX-License-Identifier: MIT
# Fetches the wheels that a uv.lock pins for a project's run time and installs them into the component.

UV_LOCK ?= ""
UV_LOCK[doc] = "Path of the uv.lock"
UV_LOCK[vardepvalue] = "${@uv_lock_entries(d)}"
UV_NAMES ?= ""
UV_NAMES[doc] = "Instead of a project: names of locked packages, taken without what they depend on"
UV_PROJECT ?= ""
UV_PROJECT[doc] = "Name of the locked project whose dependencies are wanted; it is not itself installed"

RUN_IN_BUILD_ROOT = "run-in-build-root ${COMPONENTS_DIR}/build-root ${WORKDIR} --read ${DL_DIR} --"
DEPENDS:append = " build-root"

def uv_wheels(d):
    from uv_lock import locked_wheels, named_wheels
    names = d.getVar("UV_NAMES").split()
    if names:
        return named_wheels(d.getVar("UV_LOCK"), names)
    return locked_wheels(d.getVar("UV_LOCK"), d.getVar("UV_PROJECT"))

def uv_lock_entries(d):
    """What enters the signature: the chosen wheels, not the rest of the lock."""
    if not d.getVar("UV_LOCK"):
        return ""
    bb.parse.mark_dependency(d, d.getVar("UV_LOCK"))
    return " ".join(f"{wheel.filename}:{wheel.sha256}" for wheel in uv_wheels(d))

def uv_uris(d):
    return " ".join(f"{wheel.url};sha256sum={wheel.sha256};unpack=0" for wheel in uv_wheels(d))

SRC_URI = "${@uv_uris(d)}"
SRC_URI[vardepvalue] = ""
do_fetch[vardeps] += "UV_LOCK"
UV_FILENAMES = "${@' '.join(wheel.filename for wheel in uv_wheels(d))}"
UV_FILENAMES[vardepvalue] = ""
do_install[vardeps] += "UV_LOCK"

do_install() {
    for wheel in ${UV_FILENAMES}; do
        install_wheel ${DL_DIR}/$wheel
    done
    move_to_component
}

# Installed without byte code: the image makes it, for all Python at once.
install_wheel() {
    ${RUN_IN_BUILD_ROOT} python3 -m installer --no-compile-bytecode --destdir ${B}/image --prefix /usr $1
}

# Debian's Python calls the place of what is installed by hand "local"; in an image all is of a piece.
move_to_component() {
    install -d ${COMPONENT}/usr/lib/python3
    if [ -d ${B}/image/usr/local ]; then
        mv ${B}/image/usr/local/lib/python3.*/dist-packages ${COMPONENT}/usr/lib/python3/dist-packages
        [ ! -d ${B}/image/usr/local/bin ] || mv ${B}/image/usr/local/bin ${COMPONENT}/usr/bin
    fi
    # installer's record of a folder that is none of the image's business
    rm -f ${COMPONENT}/usr/lib/python3/dist-packages/*.dist-info/RECORD
}
