# SPDX-License-Identifier: MIT
# Puts what is published into ${DEPLOY_DIR}/${PN}: disk, UKI, firmware, measurements, events, and what
# is said about them: list of root files, SBOM, manifest. With a key, the signatures of the JSON files
# that a third party reads; the manifest holds the digest of every file, so its signature covers all.

BUILDERNET_VARIANT ?= ""
BUILDERNET_VARIANT[doc] = "production or development, as the manifest says it"
BUILDERNET_PACKAGE_LOCKS ?= ""
BUILDERNET_PACKAGE_LOCKS[doc] = "Lock files of the packages in the root, for the SBOM"
BUILDERNET_FIRMWARE_LOCKS ?= ""
BUILDERNET_FIRMWARE_LOCKS[doc] = "Lock files of the firmware, for the SBOM"
BUILDERNET_TOOL_LOCKS ?= ""
BUILDERNET_TOOL_LOCKS[doc] = "Lock files of what only the build uses; the manifest lists them all"
BUILDERNET_UV_LOCK ?= "${BUILDERNET_ROOT}/uv.lock"
BUILDERNET_UV_LOCK[doc] = "Lock file of the Python wheels"
BUILDERNET_MINISIGN_KEY ?= ""
BUILDERNET_MINISIGN_KEY[doc] = "Path of a minisign secret key without password; empty: nothing is signed"
# Which key signs matters, not where it lies.
BUILDERNET_MINISIGN_KEY[vardepvalue] = "${@minisign_key_number(d)}"

def minisign_key_number(d):
    from image_manifest.signing import key_number
    return key_number(d.getVar("BUILDERNET_MINISIGN_KEY"))

def published_locks(d):
    """Every lock that takes part, by its place in the repository."""
    names = ("PACKAGE_LOCKS", "FIRMWARE_LOCKS", "TOOL_LOCKS", "UV_LOCK")
    locks = [path for name in names for path in lock_paths(d, name)]
    return {str(path.relative_to(d.getVar("BUILDERNET_ROOT"))): path for path in locks}

def lock_paths(d, name):
    from pathlib import Path
    return [Path(path) for path in d.getVar(f"BUILDERNET_{name}").split()]

addtask publish after do_measure before do_install
do_publish[cleandirs] = "${DEPLOY_DIR}/${PN}"
do_publish[postfuncs] += "describe_image"
do_publish[file-checksums] = "${@described_by(d)}"
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
    (uv_lock,) = lock_paths(d, "UV_LOCK")
    inputs = Inputs(lock_paths(d, "PACKAGE_LOCKS"), lock_paths(d, "FIRMWARE_LOCKS"), uv_lock, "buildernet", published_locks(d))
    describe(identity, Path(d.getVar("DEPLOY_DIR"), d.getVar("PN")), Path(d.getVar("IMAGE_ROOTFS")), inputs)
}

def described_by(d):
    """The locks, and the program that turns them into documents."""
    program = f'{d.getVar("BUILDERNET_ROOT")}/layers/meta-buildernet/lib/image_manifest'
    return " ".join(f"{path}:True" for path in [program, *published_locks(d).values()])

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
