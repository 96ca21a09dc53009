# SPDX-License-Identifier: MIT
# Fetches the Debian packages that a lock file names, and unpacks them into the recipe's component.
#
#   DEBIAN_LOCK = "${LAYERDIR}/locks/target.lock.json"
#   inherit debian-packages
#
# Packages are unpacked, never configured: no maintainer script runs, so nothing of the build host can
# reach the result. What the scripts would have done is the business of the recipe that uses the files.

DEBIAN_LOCK ?= ""
DEBIAN_LOCK[doc] = "Lock file whose packages the recipe fetches (see lib/debian_lock/lock.py)"
DEBIAN_LOCK_BASE ?= ""
DEBIAN_LOCK_BASE[doc] = "Lock file whose packages are left out, because another component has them"
DEBIAN_DROPPED_FILES ?= ""
DEBIAN_DROPPED_FILES[doc] = "Shell patterns of further files that are not unpacked (documentation never is)"
PINS ?= ""
PINS[doc] = "strict: fail when a pinned package cannot be had, instead of taking the mirror's newer one"

# The lock's content is hashed, its place is not.
DEBIAN_LOCK[vardepvalue] = "${@debian_lock_digest(d, 'DEBIAN_LOCK')}"
DEBIAN_LOCK_BASE[vardepvalue] = "${@debian_lock_digest(d, 'DEBIAN_LOCK_BASE')}"

def debian_lock_digest(d, variable):
    path = d.getVar(variable)
    if not path:
        return ""
    bb.parse.mark_dependency(d, path)
    return bb.utils.sha256_file(path)

def debian_packages(d):
    """The lock and the packages that this recipe takes from it."""
    from debian_lock.lock import load_lock
    lock = load_lock(d.getVar("DEBIAN_LOCK"))
    base = d.getVar("DEBIAN_LOCK_BASE")
    present = set(load_lock(base).packages) if base else set()
    return lock, [package for package in lock.packages if package not in present]

def debian_uris(d):
    """One SRC_URI entry a package, with its checksum."""
    lock, packages = debian_packages(d)
    return " ".join(
        f"{lock.uri(package)};sha256sum={package.sha256};unpack=0" for package in packages)

def debian_mirrors(d):
    """Where the fetcher looks when a package has left the mirror: the Debian snapshot archive."""
    from debian_lock.lock import SNAPSHOT_SERVICE, load_lock
    lock = load_lock(d.getVar("DEBIAN_LOCK"))
    return " ".join(
        f"{mirror}/ {SNAPSHOT_SERVICE}/{archive}/{lock.snapshot}/"
        for archive, mirror in lock.mirrors.items())

SRC_URI = "${@debian_uris(d)}"
SRC_URI[vardepvalue] = ""
do_fetch[vardeps] += "DEBIAN_LOCK DEBIAN_LOCK_BASE"
MIRRORS = "${@debian_mirrors(d)}"
MIRRORS[vardepvalue] = ""

do_install[vardeps] += "DEBIAN_LOCK DEBIAN_LOCK_BASE"
python do_install() {
    from pathlib import Path
    from debian_lock.unpack import DOCUMENTATION, unpack
    dropped = (d.getVar("DEBIAN_DROPPED_FILES") or "").split()
    downloads, component = Path(d.getVar("DL_DIR")), Path(d.getVar("COMPONENT"))
    debs = [downloads / package.filename for package in debian_packages(d)[1]]
    unpack(debs, component, exclude=(*DOCUMENTATION, *dropped))
}
