# SPDX-License-Identifier: MIT
"""The command: how it starts, what it refuses, how it stops."""

import json
import signal
import socket
import time

import pytest

from buildernet.system_api import cli

pytestmark = pytest.mark.process

_STOP_S = 10.0
"""What the unit is promised."""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_in_time_with_clients_connected(launch, number):
    process = launch()
    idle = socket.create_connection(("127.0.0.1", process.port), timeout=_STOP_S)
    slow = socket.create_connection(("127.0.0.1", process.port), timeout=_STOP_S)
    slow.sendall(b"GET / HTTP/1.1\r\nX-Slow: ")
    assert process.get("/readyz")[0] == 200
    process.popen.send_signal(number)
    started = time.monotonic()
    assert process.popen.wait(_STOP_S) == 0
    assert time.monotonic() - started < _STOP_S
    assert process.popen.stderr is not None
    log = [json.loads(line) for line in process.popen.stderr]
    assert [entry["msg"] for entry in log] == ["stopping", "stopped"]
    idle.close()
    slow.close()


def test_it_starts_again_on_the_fifo_it_left(launch, tmp_path):
    first = launch()
    first.popen.terminate()
    assert first.popen.wait(_STOP_S) == 0
    (tmp_path / "notify").unlink()
    assert launch().get("/livez")[0] == 200


def test_flags_win_over_environment_and_file(launch, tmp_path, monkeypatch):
    file = tmp_path / "c.toml"
    file.write_text(
        "[general]\nlisten_addr = '192.0.2.1:1'\npipe_file = '/nowhere/fifo'\nlog_max_entries = 5\n"
    )
    monkeypatch.setenv("SYSTEM_API_GENERAL_LOG_MAX_ENTRIES", "2")
    process = launch("--config", str(file))
    for number in range(4):
        assert process.get(f"/api/v1/new_event?message={number}")[0] == 200
    messages = [event["message"] for event in json.loads(process.get("/api/v1/events")[1])]
    assert messages == ["2", "3"]


def test_help_shows_examples(capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(["--help"])
    assert caught.value.code == 0
    assert "system-api --config /etc/buildernet/system-api.toml" in capsys.readouterr().out


def test_an_unknown_key_ends_with_2_and_the_nearest(capsys, tmp_path):
    file = tmp_path / "c.toml"
    file.write_text("[general]\nlisten_adr = ':1'\n")
    assert cli.main(["--config", str(file)]) == 2
    assert "hint: did you mean listen_addr?" in capsys.readouterr().err


@pytest.mark.usefixtures("_root_logger")
def test_a_port_in_use_ends_with_1_and_a_hint(capsys, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        flags = ["--listen-addr", f"127.0.0.1:{port}", "--pipe-file", str(tmp_path / "fifo")]
        assert cli.main(flags) == 1
    captured = capsys.readouterr().err
    assert f"cannot listen on 127.0.0.1:{port}" in captured
    assert "another program may use the port" in captured


@pytest.mark.usefixtures("_root_logger")
def test_a_file_in_place_of_the_fifo_ends_with_1(capsys, tmp_path):
    (tmp_path / "fifo").write_text("")
    flags = ["--listen-addr", "127.0.0.1:0", "--pipe-file", str(tmp_path / "fifo")]
    assert cli.main(flags) == 1
    assert "exists and is not a FIFO" in capsys.readouterr().err
