# SPDX-License-Identifier: MIT
# Unpacks the packages of one pinned set into the recipe's component; `debian-pins` has fetched them.
#
#   DEBIAN_SET = "target"
#   inherit debian-packages
#
# Packages are unpacked, never configured: no maintainer script runs, so nothing of the build host can
# reach the result. What the scripts would have done is the business of the recipe that uses the files.

DEBIAN_SET ?= ""
DEBIAN_SET[doc] = "Name of the pinned set, one of DEBIAN_SETS"
DEBIAN_SET_BASE ?= ""
DEBIAN_SET_BASE[doc] = "Set whose packages are left out, because another component has them"
DEBIAN_DROPPED_FILES ?= ""
DEBIAN_DROPPED_FILES[doc] = "Shell patterns of further files that are not unpacked (documentation never is)"

DEPENDS:append = " debian-pins"

python do_install() {
    from pathlib import Path
    from debian_lock.lock import load_lock
    from debian_lock.unpack import DOCUMENTATION, unpack
    pins, base = Path(d.getVar("COMPONENTS_DIR"), "debian-pins"), d.getVar("DEBIAN_SET_BASE")
    present = load_lock(pins / f"{base}.lock.json").packages if base else ()
    wanted = load_lock(pins / f"{d.getVar('DEBIAN_SET')}.lock.json").packages
    debs = [Path(d.getVar("DL_DIR"), package.filename) for package in wanted if package not in present]
    dropped = (d.getVar("DEBIAN_DROPPED_FILES") or "").split()
    unpack(debs, Path(d.getVar("COMPONENT")), exclude=(*DOCUMENTATION, *dropped))
}
