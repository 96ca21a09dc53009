# SPDX-License-Identifier: MIT
"""The simulated configfs-tsm over FUSE: each line of the kernel's ABI is a test.

The checklist is specs/attestation.md section 1.1.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import errno
import os
import re
import stat
from typing import TYPE_CHECKING

import pytest

from buildernet.attestation.event_log import parse_event_log
from buildernet.attestation.quote import parse_quote
from buildernet.attestation.registers import Register
from buildernet.attestation.replay import replay_rtmrs
from tests.support.event_logs import encode_log
from tests.support.simulated_mount import EVENTS, MRTD, mounted_tee

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DATA = bytes(range(64))


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with mounted_tee(tmp_path_factory.mktemp("tee")) as mount_point:
        yield mount_point


@pytest.fixture
def entry(base: Path) -> Iterator[Path]:
    path = base / "entry"
    path.mkdir()
    yield path
    path.rmdir()


@contextlib.contextmanager
def fails_with(number: int) -> Iterator[None]:
    with pytest.raises(OSError, match=re.escape(f"[Errno {number}]")):
        yield


def generation(entry: Path) -> bytes:
    return (entry / "generation").read_bytes()


def test_mkdir_makes_an_entry_with_the_four_attributes(entry: Path):
    assert sorted(path.name for path in entry.iterdir()) == [
        "generation",
        "inblob",
        "outblob",
        "provider",
    ]


def test_rmdir_drops_an_entry_with_its_attributes(base: Path):
    (base / "gone").mkdir()
    (base / "gone").rmdir()
    assert not (base / "gone").exists()
    with fails_with(errno.ENOENT):
        (base / "gone").rmdir()


def test_name_is_taken_once(base: Path, entry: Path):
    with fails_with(errno.EEXIST):
        (base / "entry").mkdir()


@pytest.mark.parametrize("name", ["generation", "inblob", "outblob", "provider"])
def test_attribute_cannot_be_unlinked(entry: Path, name: str):
    with fails_with(errno.EPERM):
        (entry / name).unlink()


def test_mkdir_below_an_entry_is_refused(entry: Path):
    with fails_with(errno.EPERM):
        (entry / "below").mkdir()


def test_creating_a_file_is_refused(base: Path, entry: Path):
    for path in (entry / "file", base / "file"):
        with fails_with(errno.EPERM):
            path.write_bytes(b"")


def test_mkdir_without_a_provider_is_enxio(tmp_path: Path):
    with mounted_tee(tmp_path, "--no-provider") as mount_point, fails_with(errno.ENXIO):
        (mount_point / "entry").mkdir()


@pytest.mark.parametrize(
    ("name", "mode", "size"),
    [
        ("inblob", 0o200, 0),
        ("outblob", 0o444, 0),
        ("generation", 0o444, 4096),
        ("provider", 0o444, 4096),
    ],
)
def test_modes_and_sizes(entry: Path, name: str, mode: int, size: int):
    status = (entry / name).stat()
    assert (stat.S_IMODE(status.st_mode), status.st_size) == (mode, size)


@pytest.mark.parametrize(
    ("name", "flags"),
    [
        ("inblob", os.O_RDONLY),
        ("inblob", os.O_RDWR),
        ("outblob", os.O_WRONLY),
        ("outblob", os.O_RDWR),
        ("generation", os.O_WRONLY),
        ("provider", os.O_RDWR),
    ],
)
def test_opening_for_a_missing_direction_is_eacces_even_for_root(
    entry: Path, name: str, flags: int
):
    with fails_with(errno.EACCES):
        os.open(entry / name, flags)


def test_provider_has_its_line_end(entry: Path):
    assert (entry / "provider").read_bytes() == b"tdx_guest\n"


def test_generation_counts_accepted_writes(entry: Path):
    assert generation(entry) == b"0\n"
    for count in (1, 2):
        (entry / "inblob").write_bytes(DATA)
        assert generation(entry) == b"%d\n" % count


def test_generation_changes_at_close_not_at_write(entry: Path):
    descriptor = os.open(entry / "inblob", os.O_WRONLY)
    try:
        os.write(descriptor, DATA)
        assert generation(entry) == b"0\n"
    finally:
        os.close(descriptor)
    assert generation(entry) == b"1\n"


def test_opening_without_writing_changes_nothing(entry: Path):
    os.close(os.open(entry / "inblob", os.O_WRONLY | os.O_TRUNC))
    assert generation(entry) == b"0\n"


def test_many_writes_of_one_open_are_one_value(entry: Path):
    descriptor = os.open(entry / "inblob", os.O_WRONLY)
    for at in range(0, 64, 16):
        os.write(descriptor, DATA[at : at + 16])
    os.close(descriptor)
    assert generation(entry) == b"1\n"
    assert parse_quote((entry / "outblob").read_bytes()).body.report_data == DATA


def test_write_beyond_64_bytes_is_efbig(entry: Path):
    descriptor = os.open(entry / "inblob", os.O_WRONLY)
    try:
        os.write(descriptor, DATA)
        with fails_with(errno.EFBIG):
            os.write(descriptor, b"x")
    finally:
        os.close(descriptor)


def test_truncating_open_is_harmless(entry: Path):
    (entry / "inblob").write_bytes(DATA)
    os.close(os.open(entry / "inblob", os.O_WRONLY | os.O_TRUNC))
    assert parse_quote((entry / "outblob").read_bytes()).body.report_data == DATA


def test_outblob_without_inblob_is_einval(entry: Path):
    with fails_with(errno.EINVAL):
        (entry / "outblob").read_bytes()


@pytest.mark.parametrize("length", [1, 48, 63])
def test_tdx_takes_exactly_64_bytes(entry: Path, length: int):
    (entry / "inblob").write_bytes(DATA[:length])
    assert generation(entry) == b"1\n"
    with fails_with(errno.EINVAL):
        (entry / "outblob").read_bytes()


def test_quote_is_kept_until_the_next_write(entry: Path):
    (entry / "inblob").write_bytes(DATA)
    first = (entry / "outblob").read_bytes()
    assert (entry / "outblob").read_bytes() == first
    (entry / "inblob").write_bytes(DATA)
    assert (entry / "outblob").read_bytes() != first


def test_one_open_reads_one_snapshot(entry: Path):
    (entry / "inblob").write_bytes(DATA)
    with (entry / "outblob").open("rb", buffering=0) as stream:
        parts = [stream.read(1000)]
        (entry / "inblob").write_bytes(DATA[::-1])
        while part := stream.read(1000):
            parts.append(part)
    assert parse_quote(b"".join(parts)).body.report_data == DATA


@pytest.mark.parametrize("name", ["inblob", "outblob"])
def test_binary_attributes_are_not_seekable(entry: Path, name: str):
    descriptor = os.open(entry / name, os.O_WRONLY if name == "inblob" else os.O_RDONLY)
    try:
        with fails_with(errno.ESPIPE):
            os.lseek(descriptor, 0, os.SEEK_SET)
    finally:
        os.close(descriptor)


def test_entries_do_not_share_anything(base: Path, entry: Path):
    other = base / "other"
    other.mkdir()
    (other / "inblob").write_bytes(DATA)
    assert (generation(entry), generation(other)) == (b"0\n", b"1\n")
    other.rmdir()


@pytest.mark.parametrize("name", ["EBUSY", "EIO", "ETIMEDOUT", "EFBIG", "ENOMEM", "ENXIO"])
def test_errors_of_the_provider_reach_the_reader(tmp_path: Path, name: str):
    with mounted_tee(tmp_path, "--fault", name) as mount_point:
        (mount_point / "entry").mkdir()
        (mount_point / "entry/inblob").write_bytes(DATA)
        with fails_with(getattr(errno, name)):
            (mount_point / "entry/outblob").read_bytes()
        assert (mount_point / "entry/outblob").read_bytes()


def test_empty_quote_and_padding_are_simulated(tmp_path: Path):
    with mounted_tee(tmp_path, "--fault", "empty", "--pad-to", "8000") as mount_point:
        (mount_point / "entry").mkdir()
        (mount_point / "entry/inblob").write_bytes(DATA)
        assert (mount_point / "entry/outblob").read_bytes() == b""
        (mount_point / "entry/inblob").write_bytes(DATA)
        padded = (mount_point / "entry/outblob").read_bytes()
    assert len(padded) == 8000
    assert len(parse_quote(padded).raw) < 8000


def test_registers_follow_from_the_boot(entry: Path):
    (entry / "inblob").write_bytes(DATA)
    registers = parse_quote((entry / "outblob").read_bytes()).body.registers
    replayed = replay_rtmrs(parse_event_log(encode_log(EVENTS)))
    assert dict(registers) == {Register.MRTD: bytes.fromhex(MRTD), **replayed}
    assert len({bytes(value) for value in registers.values()}) == 5


def test_many_clients_at_once_each_get_their_quote(base: Path):
    def cycle(number: int) -> bytes:
        path = base / f"client-{number}"
        path.mkdir()
        wanted = number.to_bytes(64, "big")
        (path / "inblob").write_bytes(wanted)
        quoted = parse_quote((path / "outblob").read_bytes()).body.report_data
        assert generation(path) == b"1\n"
        path.rmdir()
        return bytes(a ^ b for a, b in zip(quoted, wanted, strict=True))

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert set(pool.map(cycle, range(80))) == {bytes(64)}
