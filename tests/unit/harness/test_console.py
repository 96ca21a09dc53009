# SPDX-License-Identifier: MIT
"""The console finds lines, remembers the first failure and never waits past its deadline."""

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.harness.console import CONTROL_SEQUENCES, Console
from tests.harness.deadline import Deadline
from tests.harness.errors import BootFailedError, DeadlineError, FailureKind, StalledError

PATIENCE = Deadline.after(60)


@pytest.fixture
def wire():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        console = Console(ours)
        yield console, theirs
        theirs.close()
        console.join(5)


def test_a_line_split_over_two_packets_is_found(wire):
    console, guest = wire
    guest.sendall(b"measured-boot: pcr sha256 4 ab")
    console.wait_for("pcr sha256 4 a", PATIENCE)
    guest.sendall(b"cd\r\n")
    match = console.wait_for(r"pcr sha256 4 (\w+d)$", PATIENCE)
    assert match[1] == "abcd"


def test_a_line_seen_before_the_wait_counts(wire):
    console, guest = wire
    guest.sendall(b"one\ntwo\n")
    console.wait_for("two", PATIENCE)
    assert console.wait_for("one", PATIENCE)[0] == "one"


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("device-mapper: verity: 254:0: data block 12 is corrupted", FailureKind.VERITY),
        ("initrd: FATAL: cannot open the root", FailureKind.INITRD),
        ("Kernel panic - not syncing: Attempted to kill init!", FailureKind.PANIC),
        ("traps: PANIC: double fault, error_code: 0x0", FailureKind.OOPS),
        ("BUG: kernel NULL pointer dereference, address: 20", FailureKind.OOPS),
        ("UEFI Interactive Shell v2.2", FailureKind.NO_BOOT_ENTRY),
        ("You are in emergency mode. After logging in", FailureKind.EMERGENCY),
    ],
)
def test_a_known_failure_ends_every_wait_with_its_kind(wire, line, kind):
    console, guest = wire
    guest.sendall(f"[    1.0] {line}\n[    1.1] Kernel panic - not syncing: later\n".encode())
    with pytest.raises(BootFailedError) as caught:
        console.wait_for("never", PATIENCE)
    assert caught.value.kind is kind
    assert line in caught.value.line
    assert console.wait_end(0)


def test_a_match_before_the_failure_still_counts(wire):
    console, guest = wire
    guest.sendall(b"reached\ninitrd: FATAL: x\n")
    with pytest.raises(BootFailedError):
        console.wait_for("never", PATIENCE)
    assert console.wait_for("reached", PATIENCE)


def test_silence_is_told_from_slowness(wire):
    console, guest = wire
    guest.sendall(b"hello\n")
    with pytest.raises(StalledError, match="hello"):
        console.wait_for("never", PATIENCE, silence_seconds=0.05)


def test_the_deadline_error_shows_the_last_lines(wire):
    console, guest = wire
    guest.sendall(b"clocksource: Switched to clocksource tsc\n")
    console.wait_for("tsc", PATIENCE)
    with pytest.raises(DeadlineError, match="Switched to clocksource tsc"):
        console.wait_for("never", Deadline.after(0.05))


def test_a_closed_console_ends_the_wait(wire):
    console, guest = wire
    guest.sendall(b"bye")
    guest.close()
    with pytest.raises(DeadlineError, match="console closed"):
        console.wait_for("never", PATIENCE)
    assert console.transcript() == "bye"


@given(st.text(alphabet=st.characters(codec="ascii", categories=["L", "N"]), max_size=30))
def test_terminal_sequences_are_cut_and_text_stays(text):
    dressed = f"\x1b[2J\x1b[01;01H\x1b[=3h{text}\x1b[0m\r"
    assert CONTROL_SEQUENCES.sub("", dressed) == text
