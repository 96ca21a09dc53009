# SPDX-License-Identifier: MIT
# Puts what is published into ${DEPLOY_DIR}/${PN}: disk, UKI, firmware, measurements, events, and what
# is said about them: list of root files, SBOM, manifest. With a key, the signatures of the JSON files
# that a third party reads; the manifest holds the digest of every file, so its signature covers all.

BUILDERNET_VARIANT ?= ""
BUILDERNET_VARIANT[doc] = "production or development, as the manifest says it"
BUILDERNET_PINS ?= ""
BUILDERNET_PINS[doc] = "Folder of the Debian locks that were built from, and of outcome.json, which says whether the pins held"
BUILDERNET_PACKAGE_SETS ?= ""
BUILDERNET_PACKAGE_SETS[doc] = "Names of the locks whose packages are in the root"
BUILDERNET_FIRMWARE_SETS ?= ""
BUILDERNET_FIRMWARE_SETS[doc] = "Names of the locks of the firmware"
BUILDERNET_TOOL_SETS ?= ""
BUILDERNET_TOOL_SETS[doc] = "Names of the locks of what only the build uses"
BUILDERNET_UV_LOCK ?= "${BUILDERNET_ROOT}/uv.lock"
BUILDERNET_UV_LOCK[doc] = "Lock file of the Python wheels"
BUILDERNET_MINISIGN_KEY ?= ""
BUILDERNET_MINISIGN_KEY[doc] = "Path of a minisign secret key without password; empty: nothing is signed"
# Which key signs matters, not where it lies.
BUILDERNET_MINISIGN_KEY[vardepvalue] = "${@minisign_key_number(d)}"

def minisign_key_number(d):
    from image_manifest.signing import key_number
    return key_number(d.getVar("BUILDERNET_MINISIGN_KEY"))

addtask publish after do_measure before do_install
do_publish[cleandirs] = "${DEPLOY_DIR}/${PN}"
do_publish[postfuncs] += "describe_image"
do_publish[file-checksums] = "${BUILDERNET_UV_LOCK}:True ${BUILDERNET_ROOT}/layers/meta-buildernet/lib/image_manifest:True"
do_publish() {
    install -m 0644 ${B}/uki/uki.efi ${DEPLOY_DIR}/${PN}/uki.efi
    install -m 0644 ${BUILDERNET_FIRMWARE} ${DEPLOY_DIR}/${PN}/firmware.fd
    install -m 0644 ${B}/measure/measurements.json ${B}/measure/events.json ${DEPLOY_DIR}/${PN}/
    cp --sparse=always ${B}/disk/disk.raw ${DEPLOY_DIR}/${PN}/disk.raw
}

python describe_image() {
    from pathlib import Path
    from image_manifest.manifest import Identity
    from image_manifest.publication import Inputs, describe
    names = ("PN", "BUILDERNET_VARIANT", "DISTRO_VERSION", "BUILDERNET_MEASUREMENT_ID")
    identity = Identity(*map(d.getVar, names), epoch=int(d.getVar("SOURCE_DATE_EPOCH")))
    sets = [d.getVar(f"BUILDERNET_{name}_SETS").split() for name in ("PACKAGE", "FIRMWARE", "TOOL")]
    pins, uv_lock, root = (Path(d.getVar(name)) for name in ("BUILDERNET_PINS", "BUILDERNET_UV_LOCK", "IMAGE_ROOTFS"))
    describe(identity, Path(d.getVar("DEPLOY_DIR"), d.getVar("PN")), root, Inputs(pins, *sets, uv_lock, "buildernet"))
}

# A task of its own: another key, or none, signs anew without building anew.
SIGNED_FILES = "manifest.json measurements.json events.json"
addtask sign after do_publish before do_install
do_sign[cleandirs] = "${B}/sign"
do_sign() {
    rm -f ${DEPLOY_DIR}/${PN}/*.minisig
    [ -n "${BUILDERNET_MINISIGN_KEY}" ] || return 0
    for name in ${SIGNED_FILES}; do
        cp ${DEPLOY_DIR}/${PN}/$name ${B}/sign/
        # The key comes by standard input, so that the build root sees nothing else of its folder. The
        # default trusted comment would hold the time; the signature itself (Ed25519) draws nothing.
        ${BUILDERNET_RUN} minisign -S -s /dev/stdin -m ${B}/sign/$name -c "${PN} ${DISTRO_VERSION}" \
            -t "${PN} ${DISTRO_VERSION} $name" < "${BUILDERNET_MINISIGN_KEY}"
        mv ${B}/sign/$name.minisig ${DEPLOY_DIR}/${PN}/
    done
}
