# SPDX-License-Identifier: MIT
"""`archive` as a process, and what a node sends to it."""

import http.client
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from buildernet.ethereum.signature import SigningKey, sign_body
from buildernet.net.archive_stream import (
    CONTENT_TYPE,
    RECORDS_PATH,
    OrderRecord,
    ReceiptRecord,
    Record,
    encode_batch,
    encode_record,
)
from buildernet.net.authority import trusting
from tests.support.program import DEADLINE_S, Program, ask, free_port, running

NODE: Final = SigningKey(b"\x21" * 32)
STRANGER: Final = SigningKey(b"\x22" * 32)
NODE_NAME: Final = "node_1"
NOW_US: Final = 1_790_000_000_000_000


def make_record(number: int, *, at_us: int = NOW_US, **fields: Any) -> OrderRecord:
    """A bundle; its hash is its number."""
    params = {"txs": [f"0x02{number:08x}"], "blockNumber": "0x10", "minTimestamp": 5, "odd": [1]}
    values: dict[str, Any] = {
        "received_at_us": at_us + number,
        "method": "eth_sendBundle",
        "kind": "bundle",
        "hash": number.to_bytes(32),
        "key": number.to_bytes(16),
        "signer": b"\x11" * 20,
        "priority": "high",
        "params": json.dumps(params).encode(),
        "target_block": 16,
    }
    return OrderRecord(**{**values, **fields})


def make_receipt(number: int) -> ReceiptRecord:
    """That a bundle came from another node."""
    return ReceiptRecord(NOW_US + number, number.to_bytes(32), "node_2", 1234, "low")


def make_batch(records: Sequence[Record], *, first: int = 0, stream: bytes = b"s" * 16) -> bytes:
    """The body of a request."""
    return encode_batch(stream, first, [encode_record(record) for record in records])


@dataclass
class Archive:
    """An archive that can be killed and started again where it was."""

    port: int
    operator_port: int
    program: Program
    authority: Path | None = None
    """Who vouches for it; None when it speaks plain HTTP."""

    @property
    def url(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self.port}"

    @property
    def operator_url(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self.operator_port}"

    @property
    def _scheme(self) -> str:
        return "https" if self.authority else "http"

    def request(
        self, method: str, path: str, body: bytes | None = None, **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        operator = method == "GET" and path.startswith(("/api", "/metrics"))
        port = self.operator_port if operator else self.port
        connection = (
            http.client.HTTPSConnection("127.0.0.1", port, context=trusting(self.authority))
            if self.authority
            else http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        )
        try:
            connection.request(
                method, path, body, {k.replace("_", "-"): v for k, v in headers.items()}
            )
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            connection.close()

    def send(self, body: bytes, *, key: SigningKey = NODE) -> tuple[int, dict[str, str], bytes]:
        signature = sign_body(key, body)
        return self.request(
            "POST", RECORDS_PATH, body, X_BuilderNet_Signature=signature, Content_Type=CONTENT_TYPE
        )

    def rows(self, table: str = "bundles", **query: str) -> list[dict[str, Any]]:
        """All pages of a question."""
        found: list[dict[str, Any]] = []
        while True:
            text = "&".join(f"{name}={value}" for name, value in query.items())
            status, _, body = self.request("GET", f"/api/v1/{table}?{text}")
            assert status == 200, body
            page = json.loads(body)
            found += page["rows"]
            if page["next"] is None:
                return found
            query["after"] = page["next"]


@dataclass(frozen=True)
class ServerTls:
    """An archive with TLS of its own, whose operator asks from other machines."""

    certificate: Path
    key: Path
    token: Path


def make_archive(
    folder: Path,
    *,
    hub_url: str = "",
    port: int = 0,
    senders: Mapping[str, SigningKey] = MappingProxyType({NODE_NAME: NODE}),
    tls: ServerTls | None = None,
    **storage: str | int,
) -> Archive:
    """Set up an archive in a folder; `storage` overrides settings of that table.

    With `hub_url` the builders of that hub may send too; its list is fetched each second.
    """
    folder.mkdir(parents=True, exist_ok=True)
    settings: dict[str, str | int] = {"data_dir": str(folder / "data"), **storage}
    lines = [f"{name} = {json.dumps(value)}" for name, value in settings.items()]
    config = folder / "archive.toml"
    config.write_text(
        "".join(
            f'[[senders]]\nname = "{name}"\naddress = "{key.address}"\n'
            for name, key in senders.items()
        )
        + "[storage]\n"
        + "\n".join(lines)
        + "\n"
        f'[access]\nhub_url = "{hub_url}"\nhub_refresh_s = 1\n'
    )
    port, operator_port = port or free_port(), free_port()
    arguments = ["serve", f"--config={config}", f"--listen-addr=127.0.0.1:{port}"]
    host = "127.0.0.1" if tls is None else "0.0.0.0"  # noqa: S104  (else it stays plain)
    arguments += [f"--operator-listen-addr={host}:{operator_port}"]
    if tls is not None:
        arguments += [f"--certificate-file={tls.certificate}", f"--private-key-file={tls.key}"]
        with config.open("a") as file:
            file.write(f'[general]\noperator_token_file = "{tls.token}"\n')
    ready = lambda: ask(port, "/readyz", tls=tls is not None)[0] == 200  # noqa: E731
    program = Program("archive", "buildernet.archive", arguments, folder, ready)
    return Archive(port, operator_port, program, None if tls is None else tls.certificate)


@contextmanager
def archive(folder: Path, **settings: Any) -> Iterator[Archive]:
    """Run an archive; the settings are those of `make_archive`."""
    made = make_archive(folder, **settings)
    with running(made.program):
        yield made


def run_cli(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `archive` to its end."""
    return subprocess.run(
        [sys.executable, "-m", "buildernet.archive", *arguments],
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
