# SPDX-License-Identifier: MIT
"""The archive answers what its OpenAPI description promises, to whatever fits it or does not."""

import asyncio
import json
from pathlib import Path
from typing import Any, Final

import pytest
import requests
import schemathesis
from hypothesis import strategies as st
from requests.auth import AuthBase

from buildernet.archive.app import Parts, build_app, build_operator_app
from buildernet.archive.config import ArchiveConfig
from buildernet.archive.senders import Senders
from buildernet.archive.tables import TABLES
from buildernet.ethereum.signature import sign_body
from buildernet.net.archive_stream import CONTENT_TYPE, encode_batch, encode_record
from buildernet.net.metrics import METRICS
from tests.support.archive_app import serving
from tests.support.archive_process import NODE, archive, make_batch, make_receipt, make_record
from tests.support.generated_requests import fuzz

DOCUMENT: Final = Path(__file__).parents[2] / "docs/protocols/archive.openapi.json"
LISTENERS: Final = ("nodes", "operator")

_NUMBERS: Final = st.integers(0, 1 << 30)
_JSON: Final = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.just("0x" + "ab" * 32),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
)
_PARAMS: Final = st.dictionaries(
    st.sampled_from(["txs", "body", "minTimestamp", "uuid", "refundPercent", "delayedRefund",
                     "revertingTxHashes", "refundRecipient", "version"]), _JSON)  # fmt: skip
_ORDERS: Final = st.builds(
    lambda number, method, params: make_record(
        number, method=method, params=json.dumps(params).encode()
    ),
    _NUMBERS,
    st.sampled_from(["eth_sendBundle", "mev_sendBundle", "eth_sendRawTransaction"]),
    _PARAMS | _JSON,
)
_RECORDS: Final = st.lists(
    (_ORDERS | st.builds(make_receipt, _NUMBERS)).map(encode_record), max_size=3
)
_BATCHES: Final = st.builds(encode_batch, st.binary(min_size=16, max_size=16), _NUMBERS, _RECORDS)
schemathesis.openapi.media_type(CONTENT_TYPE, _BATCHES | _BATCHES | st.binary(max_size=300))


class Signed(AuthBase):
    """Signs a request as a node."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        body = request.body or b""
        raw = body.encode() if isinstance(body, str) else body
        assert isinstance(raw, bytes)
        request.headers["X-BuilderNet-Signature"] = sign_body(NODE, raw)
        return request


def document(listener: str) -> dict[str, Any]:
    """What one listener serves."""
    whole: dict[str, Any] = json.loads(DOCUMENT.read_text())
    only = {path: item for path, item in whole["paths"].items() if listener in item["x-listeners"]}
    return {**whole, "paths": only}


@pytest.mark.parametrize("listener", LISTENERS)
def test_every_route_is_described(listener: str) -> None:
    operator = build_operator_app()
    senders = Senders([], registry=operator[METRICS].registry)
    nothing: Any = None
    nodes = build_app(ArchiveConfig(), Parts(senders, nothing, nothing), operator=operator)
    app = {"nodes": nodes, "operator": operator}[listener]
    served = {
        (route.method.lower(), route.resource.canonical)
        for route in app.router.routes()
        if route.method != "HEAD" and route.resource is not None
    }
    assert served == {
        (method, path)
        for path, item in document(listener)["paths"].items()
        for method in ("get", "post")
        if method in item
    }


def test_every_column_is_described() -> None:
    schemas = document("operator")["components"]["schemas"]
    for name, table in (("Bundle", "bundles"), ("Receipt", "bundle_receipts"), ("Bid", "bids")):
        columns = [column.name.replace(".", "_") for column in TABLES[table].columns]
        assert list(schemas[name]["properties"]) == columns


@pytest.mark.parametrize("listener", LISTENERS)
async def test_generated_requests_get_described_answers(listener: str) -> None:
    async with serving() as running:
        url = {"nodes": running.nodes, "operator": running.operator}[listener]
        await asyncio.to_thread(fuzz, document(listener), url, examples=2, auth=Signed())


@pytest.mark.process
@pytest.mark.parametrize("listener", LISTENERS)
def test_many_generated_requests_get_described_answers(tmp_path: Path, listener: str) -> None:
    """On the real engine, with rows in it."""
    with archive(tmp_path) as running:
        for records in (map(make_record, range(150)), map(make_receipt, range(150))):
            assert running.send(make_batch(list(records)))[0] == 200
        url = {"nodes": running.url, "operator": running.operator_url}[listener]
        fuzz(document(listener), url, examples=60, auth=Signed())
