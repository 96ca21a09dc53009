# SPDX-License-Identifier: MIT
"""The image boots, and its operator API answers."""

import json

import pytest

pytestmark = [pytest.mark.qemu, pytest.mark.timeout(600)]


def test_the_api_answers(production):
    assert production.api.get("/livez")


def test_the_node_is_ready(production):
    assert production.api.get("/readyz")


def test_metrics_are_served(production):
    assert b"# TYPE " in production.api.get("/metrics")


def test_no_unit_failed(production):
    transcript = production.machine.console.transcript()
    assert "[FAILED]" not in transcript
    assert "Failed to start" not in transcript


def test_the_root_was_verified_before_user_space(production):
    lines = production.machine.console.transcript().splitlines()
    verified = next(i for i, line in enumerate(lines) if "initrd: root verified" in line)
    systemd = next(i for i, line in enumerate(lines) if "systemd[1]:" in line or "Welcome" in line)
    assert verified < systemd


def test_the_events_of_the_api_are_json(production):
    json.loads(production.api.get("/api/v1/events"))
