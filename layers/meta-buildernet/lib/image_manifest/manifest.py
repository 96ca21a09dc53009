# SPDX-License-Identifier: MIT
"""manifest.json: what was built, from which pins, and the digest of every file published with it.

A signature of the manifest therefore vouches for the whole folder.
"""

import dataclasses
import hashlib
import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from image_manifest.errors import ManifestError

SCHEMA = "buildernet-image-manifest/1"
MANIFEST = "manifest.json"
SIGNATURE_SUFFIX = ".minisig"
MOVED_NOTE = (
    "pinned packages could not be had and newer ones took their place:"
    " this image differs from the published measurements"
)


@dataclasses.dataclass(frozen=True, slots=True)
class Identity:
    """What names an image.

    Attributes:
        image: Name of the recipe and of the folder.
        variant: ``production`` or ``development``.
        version: Version of the distribution.
        measurement_id: Name under which the measurements are published.
        epoch: SOURCE_DATE_EPOCH, seconds since 1970: the time stamp in every artefact.
    """

    image: str
    variant: str
    version: str
    measurement_id: str
    epoch: int


def encode_manifest(
    identity: Identity,
    folder: Path,
    *,
    kernel: str,
    settled: Path,
    sets: Collection[str],
    uv_lock: Path,
) -> str:
    """The document for a deploy folder that is complete but for manifest and signatures.

    Args:
        identity: What names the image.
        folder: The deploy folder; what boots is read from its ``events.json``.
        kernel: Kernel release.
        settled: Folder of the Debian locks that were built from, and of ``outcome.json``, which
            says whether they are the pinned ones (``debian_lock.settle.Outcome.record``).
        sets: Names of the locks in it that the image or its build uses.
        uv_lock: The Python lock.

    Raises:
        ManifestError: A file that is needed is missing or says nothing.
    """
    locks = [uv_lock, *(settled / f"{name}.lock.json" for name in sets)]
    return encode_document(identity, folder, kernel, locks, _pins(settled / "outcome.json", sets))


def encode_document(
    identity: Identity, folder: Path, kernel: str, locks: Collection[Path], pins: dict[str, Any]
) -> str:
    """The document, whatever the image was made from.

    Args:
        identity: What names the image.
        folder: The deploy folder; what boots is read from its ``events.json``.
        kernel: Kernel release.
        locks: Files that pin what was built from, each with a name of its own.
        pins: Whether they held.

    Raises:
        ManifestError: A file that is needed is missing or says nothing.
    """
    try:
        events = json.loads((folder / "events.json").read_text(encoding="utf-8"))
        stub, cmdline = events["stub"], events["cmdline"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ManifestError(f"{folder}/events.json tells neither stub nor command line") from error
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "image": identity.image,
        "variant": identity.variant,
        "version": identity.version,
        "measurement_id": identity.measurement_id,
        "source_date_epoch": identity.epoch,
        "kernel": kernel,
        "stub": stub,
        "cmdline": cmdline,
        "roothash": _root_hash(cmdline),
        "files": _files(folder),
        "locks": {path.name: sha256_of(path) for path in sorted(locks)},
        "pins": pins,
    }
    return json.dumps(document, indent=2) + "\n"


def sha256_of(path: Path) -> str:
    """Lower-case hex digest of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _root_hash(cmdline: str) -> str:
    words = [word for word in cmdline.split() if word.startswith("roothash=")]
    if len(words) != 1:
        raise ManifestError(f"the command line names {len(words)} root hashes, not one: {cmdline}")
    return words[0].removeprefix("roothash=")


def _files(folder: Path) -> dict[str, dict[str, Any]]:
    return {
        path.name: {"size": path.stat().st_size, "sha256": sha256_of(path)}
        for path in sorted(folder.iterdir())
        if path.name != MANIFEST and path.suffix != SIGNATURE_SUFFIX
    }


def _pins(outcome: Path, sets: Collection[str]) -> dict[str, Any]:
    """As locked, or what moved in the sets that the image uses."""
    try:
        record = json.loads(outcome.read_text(encoding="utf-8"))
        moved = {name: record["moved"][name] for name in sorted(sets) if record["moved"].get(name)}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ManifestError(f"{outcome}: does not tell whether the pins held") from error
    return (
        {"as_locked": False, "note": MOVED_NOTE, "moved": moved} if moved else {"as_locked": True}
    )
