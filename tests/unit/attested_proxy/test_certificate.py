# SPDX-License-Identifier: MIT
"""The node's own certificate: form, storage, rotation."""

import asyncio
import ipaddress
import stat
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from buildernet.attested_proxy.certificate import (
    Identity,
    NodeCertificate,
    load_identity,
    make_identity,
    require_memory_backed,
    save_identity,
)
from buildernet.attested_proxy.errors import NodeCertificateError

NOW = datetime.now(UTC).replace(microsecond=0)


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that the mount table calls tmpfs."""
    mounts = tmp_path / "mounts"
    mounts.write_text(f"/dev/x / ext4 rw 0 0\ntmpfs {tmp_path} tmpfs rw 0 0\n")
    monkeypatch.setattr(require_memory_backed, "__kwdefaults__", {"mounts": mounts})
    folder = tmp_path / "tls"
    folder.mkdir()
    return folder


def test_certificate_has_the_promised_form() -> None:
    leaf = make_identity(["node.example", "10.0.0.5", "::1"], now=NOW).leaf
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["node.example"]
    addresses = [ipaddress.ip_address("10.0.0.5"), ipaddress.ip_address("::1")]
    assert names.get_values_for_type(x509.IPAddress) == addresses
    assert leaf.not_valid_after_utc - leaf.not_valid_before_utc == timedelta(hours=24)
    assert leaf.not_valid_before_utc <= NOW
    key = leaf.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert isinstance(key.curve, ec.SECP256R1)
    leaf.verify_directly_issued_by(leaf)


@pytest.mark.parametrize("hosts", [[], ["exämple"]])
def test_bad_hosts_are_refused(hosts: list[str]) -> None:
    with pytest.raises(NodeCertificateError):
        make_identity(hosts, now=NOW)


def test_identity_survives_its_files(memory: Path) -> None:
    identity = make_identity(["localhost"], now=NOW)
    save_identity(identity, memory)
    assert stat.S_IMODE((memory / "key.pem").stat().st_mode) == 0o600
    assert sorted(path.name for path in memory.iterdir()) == ["cert.pem", "key.pem"]
    loaded = load_identity(memory / "cert.pem", memory / "key.pem")
    assert loaded.chain == identity.chain
    assert loaded.key.public_key() == identity.key.public_key()


def test_key_does_not_reach_a_disk(tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(
        "tmpfs /run tmpfs rw 0 0\n/dev/sda2 / ext4 rw 0 0\n/dev/b /run/d\\040x xfs rw 0 0\n"
    )
    require_memory_backed(Path("/run/attested-proxy"), mounts=mounts)
    for folder in ("/var/lib/x", "/run/d x/y", "/"):
        with pytest.raises(NodeCertificateError, match="reach a disk"):
            require_memory_backed(Path(folder), mounts=mounts)


def test_key_of_another_certificate_is_refused(memory: Path) -> None:
    save_identity(make_identity(["localhost"], now=NOW), memory)
    certificate = (memory / "cert.pem").rename(memory / "old.pem")
    save_identity(make_identity(["localhost"], now=NOW), memory)
    with pytest.raises(NodeCertificateError, match="not the key"):
        load_identity(certificate, memory / "key.pem")


@pytest.mark.parametrize("content", [b"", b"no PEM", b"x" * (256 * 1024 + 1)])
def test_files_that_are_no_pem_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.pem").write_bytes(content)
    with pytest.raises(NodeCertificateError):
        load_identity(tmp_path / "x.pem", tmp_path / "x.pem")
    with pytest.raises(NodeCertificateError):
        load_identity(tmp_path / "missing.pem", tmp_path / "x.pem")


def test_a_key_of_an_unknown_kind_is_refused(memory: Path) -> None:
    """What an operator's files may hold while a proxy that reads them again is running."""
    save_identity(make_identity(["localhost"], now=NOW), memory)
    unknown = bytes.fromhex("3010 020100 3005 06032a0304 0404abcdabcd")  # PKCS 8, OID 1.2.3.4
    pem = f"-----BEGIN PRIVATE KEY-----\n{b64encode(unknown).decode()}\n-----END PRIVATE KEY-----\n"
    (memory / "key.pem").write_text(pem)
    with pytest.raises(NodeCertificateError, match="cannot use"):
        load_identity(memory / "cert.pem", memory / "key.pem")


async def test_rotation_replaces_an_old_certificate(memory: Path) -> None:
    due = NOW - timedelta(hours=16)
    fresh, renewed = make_identity(["localhost"], now=NOW), asyncio.Event()

    def renew() -> Identity:
        renewed.set()
        return fresh

    node = NodeCertificate(make_identity(["localhost"], now=due), renew=renew, folder=memory)
    task = asyncio.create_task(node.rotate())
    async with asyncio.timeout(5):
        await renewed.wait()
    task.cancel()
    assert node.identity is fresh
    assert (memory / "cert.pem").read_bytes() == fresh.pem


def test_rotation_that_cannot_be_written_is_tried_again(memory: Path) -> None:
    old, fresh = (make_identity(["localhost"], now=NOW) for _ in range(2))
    node = NodeCertificate(old, renew=lambda: fresh, folder=memory)
    moved = memory.rename(memory.with_name("away"))
    with pytest.raises(NodeCertificateError, match="cannot write"):
        node.renew_now()
    assert node.identity is old  # shown and on disk alike, and still due
    moved.rename(memory)
    node.renew_now()
    assert node.identity is fresh
    assert (memory / "cert.pem").read_bytes() == fresh.pem


async def test_certificate_that_is_not_due_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    stop = asyncio.Event()

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        await stop.wait()

    monkeypatch.setattr(asyncio, "sleep", sleep)
    identity = make_identity(["localhost"], now=NOW)
    node = NodeCertificate(identity, renew=lambda: pytest.fail("not due"))
    task = asyncio.create_task(node.rotate())
    async with asyncio.timeout(5):
        while not slept:
            await asyncio.wait({task}, timeout=0.01)
    task.cancel()
    assert node.identity is identity


async def test_given_certificate_is_never_replaced() -> None:
    identity = make_identity(["localhost"], now=NOW - timedelta(days=2))
    node = NodeCertificate(identity)
    await node.rotate()
    node.renew_now()
    assert node.identity is identity


async def test_files_of_the_operator_are_read_again(
    memory: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("buildernet.attested_proxy.certificate._TRY_AGAIN_S", 0.001)
    first, second = (make_identity(["localhost"], now=NOW) for _ in range(2))
    save_identity(first, memory)

    def read() -> Identity:
        return load_identity(memory / "cert.pem", memory / "key.pem")

    node = NodeCertificate(read(), reread=read)
    task = asyncio.create_task(node.rotate())
    (memory / "cert.pem").write_bytes(second.pem)  # its key is not there yet
    async with asyncio.timeout(5):
        while "certificate_kept" not in caplog.text:
            await asyncio.wait({task}, timeout=0.001)
        assert node.identity.chain == first.chain
        save_identity(second, memory)
        while node.identity.chain != second.chain:
            await asyncio.wait({task}, timeout=0.001)
    task.cancel()
