# SPDX-License-Identifier: MIT
"""Files as memory: a disk image is mapped, so that only what is measured is read."""

import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from buildernet.measure.errors import MeasureError


@contextmanager
def open_view(path: Path) -> Iterator[memoryview]:
    """Map a file read-only for the time of the block.

    Slices taken from the view must not outlive the block. The file must not shrink meanwhile.

    Raises:
        MeasureError: missing, unreadable or empty.
    """
    try:
        with (
            path.open("rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapping,
        ):
            view = memoryview(mapping)
            try:
                yield view
            finally:
                view.release()
    except OSError as exc:
        raise MeasureError(f"cannot read {path}: {exc.strerror}") from exc
    except ValueError as exc:
        raise MeasureError(f"{path} is empty", hint="was the build interrupted?") from exc
