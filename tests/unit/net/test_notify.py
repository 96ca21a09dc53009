# SPDX-License-Identifier: MIT
import os
import socket

import pytest

from buildernet.net import notify


@pytest.fixture(params=["path", "abstract"])
def manager(request, tmp_path, monkeypatch):
    """A socket as systemd passes it."""
    name = str(tmp_path / "n") if request.param == "path" else f"@buildernet-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(name.replace("@", "\0"))
        sock.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", name)
        yield sock


def test_the_manager_gets_one_datagram(manager):
    notify.send(notify.READY)
    assert manager.recv(100) == b"READY=1"


def test_without_a_manager_nothing_happens():
    notify.send(notify.READY)


def test_a_manager_that_is_gone_is_an_error(monkeypatch, tmp_path):
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "gone"))
    with pytest.raises(OSError, match="No such file"):
        notify.send(notify.READY)
