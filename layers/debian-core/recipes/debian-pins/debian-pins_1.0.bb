# SPDX-License-Identifier: MIT
SUMMARY = "Fetches every pinned Debian package; the effective locks are its component"
LICENSE = "MIT"
DESCRIPTION = "One recipe for all sets, because what replaces a vanished package is decided for all of \
them together (lib/debian_lock/settle.py). Others unpack with debian-packages.bbclass."

DEBIAN_LOCKS ?= ""
DEBIAN_LOCKS[doc] = "Folder of the locks: NAME.packages is what is asked for, NAME.lock.json what was resolved"
DEBIAN_SETS ?= ""
DEBIAN_SETS[doc] = "Names of the sets that the build uses"
PINS ?= ""
PINS[doc] = "strict: fail when a pinned package cannot be had, instead of taking the mirror's newer ones"
DEBIAN_SNAPSHOT ?= ""
DEBIAN_SNAPSHOT[doc] = "Where packages are that have left the mirror; empty: https://snapshot.debian.org/archive"
DEBIAN_KEYRING ?= ""
DEBIAN_KEYRING[doc] = "Keys that sign the mirror; empty: those of the host's debian-archive-keyring"

do_fetch[file-checksums] = "${@' '.join(f'{path}:True' for path in lock_paths(d))}"
do_fetch[vardeps] += "DEBIAN_SETS PINS"
do_fetch[cleandirs] = "${WORKDIR}/settled"

def lock_paths(d):
    from pathlib import Path
    return [Path(d.getVar("DEBIAN_LOCKS"), f"{name}{ending}")
            for name in d.getVar("DEBIAN_SETS").split() for ending in (".lock.json", ".packages")]

def fetch_set(d, lock):
    """Download one set: the mirror first, then the snapshot archive. Return what neither has."""
    from debian_lock.lock import SNAPSHOT_SERVICE
    d = d.createCopy()
    snapshot = d.getVar("DEBIAN_SNAPSHOT") or SNAPSHOT_SERVICE
    d.setVar("MIRRORS", " ".join(f"{mirror}/ {snapshot}/{archive}/{lock.snapshot}/"
                                 for archive, mirror in lock.mirrors.items()))
    missing = []
    for number, package in enumerate(lock.packages):
        bb.event.fire(bb.build.TaskProgress(100 * number // len(lock.packages)), d)
        uri = f"{lock.uri(package)};sha256sum={package.sha256};unpack=0"
        try:
            bb.fetch2.Fetch([uri], d).download()
        except bb.fetch2.BBFetchException:
            missing.append(package)
    return missing

def resolve_sets(d, locks):
    """Ask apt for all sets anew, against the mirrors of the locks as they are now."""
    from pathlib import Path
    from debian_lock.apt import KEYRING, Apt, debian
    from debian_lock.requests import read_requests
    pinned = next(iter(locks.values()))
    sources = debian(pinned.suite, pinned.architecture,
                     pinned.mirrors["debian"], pinned.mirrors["debian-security"])
    apt = Apt(sources, Path(d.getVar("WORKDIR"), "apt"), Path(d.getVar("DEBIAN_KEYRING") or KEYRING))
    apt.update()
    return {path.stem: apt.resolve(read_requests(path))
            for path in lock_paths(d) if path.suffix == ".packages"}

def one_attempt(record):
    """A file that the mirror lacks is no error yet: what comes of it is said once, at the end."""
    import logging
    record.levelno = min(record.levelno, logging.INFO)
    return True

python do_fetch() {
    import json, logging
    from pathlib import Path
    from debian_lock.errors import LockError
    from debian_lock.lock import load_lock, save_lock
    from debian_lock.settle import settle
    locks = {path.name.removesuffix(".lock.json"): load_lock(path)
             for path in lock_paths(d) if path.suffix == ".json"}
    logging.getLogger("BitBake.Fetcher").addFilter(one_attempt)
    try:
        outcome = settle(locks, lambda lock: fetch_set(d, lock), lambda: resolve_sets(d, locks),
                         strict=d.getVar("PINS") == "strict")
    except LockError as error:
        bb.fatal(f"{error}\n  hint: {error.hint}")
    settled = Path(d.getVar("WORKDIR"), "settled")
    for name, lock in outcome.locks.items():
        save_lock(lock, settled / f"{name}.lock.json")
    (settled / "outcome.json").write_text(json.dumps(outcome.record(), indent=1) + "\n")
    if not outcome.pinned:
        bb.warn(outcome.warning())
}

do_install() {
    cp ${WORKDIR}/settled/*.json ${COMPONENT}/
}
