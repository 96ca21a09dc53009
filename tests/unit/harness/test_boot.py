# SPDX-License-Identifier: MIT
"""A boot that hangs early is repeated once, under TCG only, and reported."""

import contextlib
from pathlib import Path

import pytest

from tests.harness import boot
from tests.harness.deadline import Deadline
from tests.harness.errors import BootFailedError, FailureKind, HarnessError, StalledError
from tests.harness.qemu import Accelerator, MachineSpec
from tests.image.boots import Shared


class FakeMachine:
    """Does in each start what the script says."""

    script: list[HarnessError | None]

    def __init__(self, *_, **__):
        self.outcome = FakeMachine.script.pop(0)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None

    def wait_for(self, *_, **__):
        if self.outcome is not None:
            raise self.outcome


def start(
    monkeypatch: pytest.MonkeyPatch,
    script: list[HarnessError | None],
    accelerator: Accelerator = Accelerator.TCG,
) -> list[str]:
    monkeypatch.setattr(boot, "Machine", FakeMachine)
    FakeMachine.script = script
    reports: list[str] = []
    spec = MachineSpec(Path("firmware.fd"), accelerator=accelerator)
    with boot.boot_image(spec, Deadline.after(60), report=reports.append):
        assert FakeMachine.script == []
    return reports


def test_a_good_boot_is_not_reported(monkeypatch):
    assert start(monkeypatch, [None]) == []


def test_one_hang_is_repeated_and_reported(monkeypatch):
    reports = start(monkeypatch, [StalledError("silent"), None])
    assert reports == ["boot hung under TCG, trying once more: silent"]


def test_two_hangs_are_an_error(monkeypatch):
    with pytest.raises(StalledError, match="again"):
        start(monkeypatch, [StalledError("silent"), StalledError("again")])


def test_a_hang_under_kvm_is_an_error(monkeypatch):
    with pytest.raises(StalledError):
        start(monkeypatch, [StalledError("silent"), None], Accelerator.KVM)


def test_a_failed_boot_is_not_repeated(monkeypatch):
    with pytest.raises(BootFailedError):
        start(monkeypatch, [BootFailedError(FailureKind.VERITY, "x"), None])


def test_a_failed_shared_boot_is_raised_once_then_skips():
    @contextlib.contextmanager
    def fail():
        raise StalledError("the first cause")
        yield

    with Shared(fail) as shared:
        with pytest.raises(StalledError):
            shared.reading()
        with pytest.raises(pytest.skip.Exception, match="the first cause"):
            shared.reading()
