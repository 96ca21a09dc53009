# SPDX-License-Identifier: MIT
"""A real HAProxy with the image's configuration, on ports that anyone may use."""

import asyncio
import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.support.orderflow_nodes import DEADLINE_S, Certificate
from tests.support.program import free_port, listens

CONFIG: Final = Path(__file__).resolve().parents[2] / "services/config/haproxy.cfg"


@dataclass(frozen=True)
class Front:
    """Where it listens."""

    user: int
    system: int
    redirect: int
    metrics: int
    admin_socket: Path


def store(folder: Path, certificate: Certificate) -> None:
    """Leave key and certificate as attested-proxy does."""
    folder.mkdir(exist_ok=True)
    for name, text in (("key.pem", certificate.key_pem), ("cert.pem", certificate.pem)):
        (folder / f".{name}").write_text(text)
        (folder / f".{name}").rename(folder / name)


def render(folder: Path, *, users: int, peers: int) -> tuple[str, Front]:
    """Return the configuration with other ports and paths, and where it listens."""
    user, system, redirect, metrics = (free_port() for _ in range(4))
    front = Front(user, system, redirect, metrics, folder / "admin.sock")
    text = CONFIG.read_text()
    for old, new in (
        ("maxconn 10000", "maxconn 2000"),
        ("bind :443 ", f"bind 127.0.0.1:{front.user} "),
        ("bind :5544 ", f"bind 127.0.0.1:{front.system} "),
        ("bind :80\n", f"bind 127.0.0.1:{front.redirect}\n"),
        ("127.0.0.1:8405", f"127.0.0.1:{front.metrics}"),
        ("127.0.0.1:5543", f"127.0.0.1:{users}"),
        ("127.0.0.1:5542", f"127.0.0.1:{peers}"),
        ("/run/haproxy/admin.sock", str(front.admin_socket)),
        ("/etc/buildernet/", f"{CONFIG.parent}/"),
    ):
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    assert not re.findall(r"^\s*bind :", text, re.MULTILINE)
    return text, front


@asynccontextmanager
async def haproxy(
    folder: Path, certificate: Certificate, *, users: int, peers: int
) -> AsyncIterator[Front]:
    """Run it until the context ends."""
    text, front = render(folder, users=users, peers=peers)
    (folder / "haproxy.cfg").write_text(text)
    credentials = folder / "credentials"
    credentials.mkdir()
    (credentials / "node.pem").write_text(certificate.pem)
    (credentials / "node.pem.key").write_text(certificate.key_pem)
    process = await asyncio.create_subprocess_exec(
        "haproxy",
        "-db",
        "-f",
        str(folder / "haproxy.cfg"),
        env={**os.environ, "CREDENTIALS_DIRECTORY": str(credentials)},
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(DEADLINE_S):
            while not listens(front.system):
                assert process.returncode is None, await process.stderr.read()  # type: ignore[union-attr]
                await asyncio.sleep(0.01)
        yield front
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()
