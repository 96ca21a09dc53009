# SPDX-License-Identifier: MIT
"""The configfs-tsm client against the simulated TEE: quotes, and every way of not getting one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from buildernet.attestation.issue import QuoteQueue, TSMQuotes, tsm
from buildernet.attestation.issue.errors import NoProviderError, QuoteUnavailableError
from buildernet.attestation.quote import parse_quote
from tests.support.simulated_mount import mounted_tee

if TYPE_CHECKING:
    from pathlib import Path

DATA = bytes(range(64))


def quotes(base: Path, waited: list[float] | None = None) -> TSMQuotes:
    return TSMQuotes(base, sleep=(waited if waited is not None else []).append)


def test_quote_is_unpadded_and_leaves_no_entry(tmp_path: Path):
    with mounted_tee(tmp_path, "--pad-to", "8000") as base:
        quote = quotes(base).quote(DATA)
        assert list(base.iterdir()) == []
    assert parse_quote(quote).raw == quote
    assert parse_quote(quote).body.report_data == DATA


def test_busy_host_is_asked_again(tmp_path: Path):
    waited: list[float] = []
    with mounted_tee(tmp_path, "--fault", "EBUSY", "--fault", "EBUSY") as base:
        assert quotes(base, waited).quote(DATA)
        assert list(base.iterdir()) == []
    assert waited == [tsm.RETRY_SECONDS] * 2


def test_host_that_stays_busy_is_given_up(tmp_path: Path):
    with mounted_tee(tmp_path, *["--fault", "EBUSY"] * tsm.ATTEMPTS) as base:
        with pytest.raises(QuoteUnavailableError, match="after 5 attempts: the previous quote"):
            quotes(base).quote(DATA)
        assert list(base.iterdir()) == []


@pytest.mark.parametrize(
    ("fault", "match"),
    [
        ("empty", "is empty"),
        ("EIO", "refused to quote"),
        ("ETIMEDOUT", "30 s"),
        ("ENOMEM", "memory"),
    ],
)
def test_failure_of_the_host_is_named_and_not_repeated(tmp_path: Path, fault: str, match: str):
    waited: list[float] = []
    with mounted_tee(tmp_path, "--fault", fault) as base:
        with pytest.raises(QuoteUnavailableError, match=match):
            quotes(base, waited).quote(DATA)
        assert list(base.iterdir()) == []
    assert waited == []


def test_missing_provider_is_named(tmp_path: Path):
    refused = pytest.raises(NoProviderError, match="no TDX guest")
    with mounted_tee(tmp_path, "--no-provider") as base, refused:
        quotes(base).check()
    with pytest.raises(NoProviderError, match="no TDX guest"):
        quotes(tmp_path / "nothing").quote(DATA)


def test_foreign_write_is_noticed_and_the_quote_discarded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    read = tsm._read
    interfered: list[Path] = []

    def interfere(path: Path, limit: int) -> bytes:
        if path.name == "outblob" and not interfered:
            interfered.append(path.parent)
            (path.parent / "inblob").write_bytes(DATA[::-1])
        return read(path, limit)

    monkeypatch.setattr(tsm, "_read", interfere)
    with mounted_tee(tmp_path) as base:
        quote = quotes(base).quote(DATA)
    assert parse_quote(quote).body.report_data == DATA
    assert len(interfered) == 1


def test_wrong_length_asks_nobody(tmp_path: Path):
    with pytest.raises(QuoteUnavailableError, match="63 bytes"):
        quotes(tmp_path).quote(DATA[:63])


def fake_entry(base: Path, monkeypatch: pytest.MonkeyPatch, **contents: bytes) -> TSMQuotes:
    """A folder of plain files where an entry would be: a kernel that says odd things."""
    monkeypatch.setattr("secrets.token_hex", lambda _: "fixed")
    monkeypatch.setattr("os.getpid", lambda: 1)
    made = base / "buildernet-1-fixed"
    monkeypatch.setattr(type(made), "mkdir", lambda *_: None)
    for name, content in {"provider": b"tdx_guest\n", "generation": b"0\n", **contents}.items():
        (made / name).write_bytes(content)
    return quotes(base)


@pytest.mark.parametrize(
    ("contents", "error", "match"),
    [
        ({"provider": b"sev_guest\n"}, NoProviderError, "belongs to 'sev_guest'"),
        ({"provider": b"tdx_guest"}, NoProviderError, "belongs to"),
        ({"generation": b"one"}, QuoteUnavailableError, "generation is b'one'"),
        ({"provider": b"x" * 5000}, QuoteUnavailableError, "more than 4096"),
        ({"generation": b"18446744073709551615\n", "outblob": b""}, QuoteUnavailableError, "5 att"),
        ({}, QuoteUnavailableError, "No such file"),
    ],
)
def test_odd_kernels_are_refused(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    contents: dict[str, bytes],
    error: type[Exception],
    match: str,
):
    (tmp_path / "buildernet-1-fixed").mkdir()
    with pytest.raises(error, match=match):
        fake_entry(tmp_path, monkeypatch, **contents).quote(DATA)


def test_quote_about_something_else_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    unpad = tsm._unpad
    with mounted_tee(tmp_path) as base:
        quote = quotes(base).quote(DATA)
    with pytest.raises(QuoteUnavailableError, match="other report data"):
        unpad(quote, DATA[::-1])
    with pytest.raises(QuoteUnavailableError, match="no TDX quote"):
        unpad(quote + b"x", DATA)


async def test_queue_in_front_of_the_device(tmp_path: Path):
    with mounted_tee(tmp_path) as base:
        async with QuoteQueue(quotes(base).quote) as queue:
            quote = await queue.get(DATA)
    assert parse_quote(quote).body.report_data == DATA
