# SPDX-License-Identifier: MIT
"""Nodes reach the archive over TLS of its own, and its certificate changes while they send."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from buildernet.base.errors import ConfigError
from buildernet.net import certificate_reload
from buildernet.net.certificate_reload import reloading
from buildernet.orderflow_proxy import archiving as archiving_module
from buildernet.orderflow_proxy.archiving import archiving
from buildernet.orderflow_proxy.config import Archive
from buildernet.orderflow_proxy.order import Recorder
from tests.support.archive_app import Running, serving
from tests.support.archive_process import NODE
from tests.support.orderflow_nodes import (
    Certificate,
    CertificateFiles,
    client_der,
    make_certificate,
    make_order,
    until,
)


@asynccontextmanager
async def sending(
    folder: Path, url: str, *trusted: Certificate
) -> AsyncIterator[tuple[Recorder, Callable[[str], float]]]:
    """What a node runs, and a way to read its counters."""
    authority = folder / "authority.pem"
    authority.write_text("".join(made.pem for made in trusted))
    config = Archive(endpoint=url, spool_dir=folder / "spool", authority_file=authority)
    registry = CollectorRegistry()
    async with archiving(config, key=NODE, head=lambda: 1, registry=registry) as recorder:
        yield (
            recorder,
            lambda name: registry.get_sample_value(f"orderflow_proxy_archive_{name}") or 0.0,
        )


async def shown(archive: Running) -> bytes:
    """The certificate that a new connection gets."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    port = int(archive.nodes.rpartition(":")[2])
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    session = writer.get_extra_info("ssl_object")
    assert session.version() == "TLSv1.3"
    found: bytes = session.getpeercert(binary_form=True)
    writer.close()
    await writer.wait_closed()
    return found


async def test_records_arrive_while_the_certificate_changes(tmp_path, monkeypatch):
    monkeypatch.setattr(certificate_reload, "POLL_S", 0.01)
    made = [make_certificate() for _ in range(3)]
    files = CertificateFiles(tmp_path)
    files.put(made[0])
    async with (
        reloading(files.certificate, files.key) as tls,
        serving(tls=tls) as archive,
        sending(tmp_path, archive.nodes, *made) as (recorder, count),
    ):
        for turn, certificate in enumerate(made):
            files.put(certificate)
            async with asyncio.timeout(20):
                while await shown(archive) != client_der(certificate):
                    recorder.record(make_order(turn))
            recorder.record(make_order(turn))
        await until(lambda: count("spool_records") == 0)
        assert count("records_sent_total") >= len(made)
        assert count("rpc_errors_total") == 0, "nobody was cut off"


async def test_an_archive_that_nobody_vouches_for_gets_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(archiving_module, "DRAIN_S", 0.01)
    files = CertificateFiles(tmp_path)
    files.put(make_certificate())
    async with (
        reloading(files.certificate, files.key) as tls,
        serving(tls=tls) as archive,
        sending(tmp_path, archive.nodes, make_certificate()) as (recorder, count),
    ):
        recorder.record(make_order(1))
        await until(lambda: count("rpc_errors_total") > 0)
        assert count("spool_records") == 1
        assert archive.engine.insertions == 0


async def test_without_files_there_is_no_tls():
    async with reloading(None, None) as tls:
        assert tls is None


async def test_files_that_are_not_there_are_told_at_the_start(tmp_path):
    with pytest.raises(ConfigError, match="cannot read"):
        async with reloading(tmp_path / "chain.pem", tmp_path / "key.pem"):
            pass
