# SPDX-License-Identifier: MIT
from pathlib import Path

import pytest

from buildernet.measure.errors import MeasureError
from buildernet.measure.source import open_view


def test_content_is_mapped(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"content")
    with open_view(path) as view:
        assert bytes(view) == b"content"
        assert view.readonly


def test_missing_empty_and_odd_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    for name, message in (("missing", "No such file"), ("empty", "empty"), (".", "directory")):
        with pytest.raises(MeasureError, match=message), open_view(tmp_path / name):
            pass
