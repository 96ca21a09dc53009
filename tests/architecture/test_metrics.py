# SPDX-License-Identifier: MIT
"""Every metric that a service registers stands in its page, by the name that Prometheus shows."""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase

from buildernet.archive.handlers import Intake
from buildernet.archive.senders import Senders
from buildernet.archive.writer import Writer, WriterLimits
from buildernet.attested_proxy.metrics import HandshakeMetrics
from buildernet.builder_hub.metrics import HubMetrics
from buildernet.ethereum.signature import SigningKey
from buildernet.net.metrics import HttpMetrics
from buildernet.orderflow_proxy.app import Dependencies
from buildernet.orderflow_proxy.app import build_app as build_receiver
from buildernet.orderflow_proxy.archive_sender import ArchiveSender, RecordsForm
from buildernet.orderflow_proxy.config import ReceiverConfig
from buildernet.orderflow_proxy.recorder import ArchiveRecorder, NoRecorder, SpoolThresholds
from buildernet.orderflow_proxy.sender import build_sender
from buildernet.orderflow_proxy.sender_config import SenderConfig
from buildernet.orderflow_proxy.sending.metrics import DeliveryMetrics
from buildernet.system_api.app import build_app as build_system_api
from buildernet.system_api.config import SystemApiConfig

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT: Final = Path(__file__).resolve().parents[2]
PACKAGE: Final = ROOT / "services/src/buildernet"
NOBODY: Final[Any] = None
"""What a part would work with, if it did more than register its metrics."""

Found = set[tuple[str, str]]
"""Modules, and what they register there."""


def make_archive() -> None:
    registry = HttpMetrics("archive").registry
    Writer(NOBODY, limits=WriterLimits(), registry=registry)
    Intake(Senders([], registry=registry), NOBODY, max_requests=1, registry=registry).close()


def make_attested_proxy() -> None:
    HandshakeMetrics(HttpMetrics("attested_proxy").registry)


def make_orderflow_proxy() -> None:
    http = HttpMetrics("orderflow_proxy")
    registry, fresh = http.registry, asyncio.Event()
    build_receiver(ReceiverConfig(), Dependencies(NOBODY, NoRecorder(), NOBODY, http=http))
    build_sender(SenderConfig(), NOBODY, http=http)
    DeliveryMetrics(registry)
    thresholds = SpoolThresholds(reject_bytes=1, resume_bytes=1)
    ArchiveRecorder(
        NOBODY, folder=Path(), thresholds=thresholds, head=lambda: None, registry=registry
    )
    ArchiveSender(
        NOBODY,
        url="",
        form=RecordsForm(),
        key=SigningKey.generate(),
        session=NOBODY,
        fresh=fresh,
        registry=registry,
    )


SERVICES: Final[dict[str, tuple[Callable[[], object], tuple[str, ...]]]] = {
    "archive": (make_archive, ("services/archive.md",)),
    "attested_proxy": (make_attested_proxy, ("services/attested-proxy.md",)),
    "builder_hub": (HubMetrics, ("services/builder-hub.md",)),
    "orderflow_proxy": (
        make_orderflow_proxy,
        (
            "services/orderflow-proxy.md",
            "services/orderflow-sender.md",
            "protocols/orderflow-delivery.md",
        ),
    ),
    "system_api": (lambda: build_system_api(SystemApiConfig()), ("services/system-api.md",)),
}
"""What makes the metrics of a package, and where they are explained."""


def registered(monkeypatch: pytest.MonkeyPatch, make: Callable[[], object]) -> Found:
    found: Found = set()
    register = CollectorRegistry.register

    def note(self: CollectorRegistry, collector: Any) -> None:
        if isinstance(collector, MetricWrapperBase):
            frame = sys._getframe()
            while not frame.f_globals["__name__"].startswith("buildernet."):
                assert frame.f_back is not None
                frame = frame.f_back
            (metric,) = collector.describe()
            suffix = "_total" if metric.type == "counter" else ""
            found.add((frame.f_globals["__name__"], metric.name + suffix))
        register(self, collector)

    monkeypatch.setattr(CollectorRegistry, "register", note)
    make()
    return found


@pytest.mark.parametrize("package", SERVICES)
async def test_every_metric_is_documented(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    make, pages = SERVICES[package]
    text = "\n".join((ROOT / "docs" / page).read_text() for page in pages)
    names = {name for _, name in registered(monkeypatch, make)}
    assert names
    assert sorted(name for name in names if not re.search(rf"`{name}[`{{]", text)) == []


@pytest.mark.parametrize("package", SERVICES)
async def test_every_module_that_has_metrics_is_asked(
    package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    importing = {
        ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
        for path in (PACKAGE / package).rglob("*.py")
        if "prometheus_client" in (text := path.read_text())
        and re.search(r"\b(Counter|Gauge|Histogram|Summary)\(", text)
    }
    asked = {module for module, _ in registered(monkeypatch, SERVICES[package][0])}
    assert importing - asked == set()


def test_no_other_package_has_metrics() -> None:
    with_metrics = {
        path.relative_to(PACKAGE).parts[0]
        for path in PACKAGE.rglob("*.py")
        if "from prometheus_client import" in path.read_text()
    }
    assert with_metrics - {"net"} == set(SERVICES)
