# SPDX-License-Identifier: MIT
"""Whatever answers instead of the hub is our one error."""

import http.client
from http import HTTPStatus
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildernet.base.errors import ConfigError
from buildernet.node import hub_request
from buildernet.node.errors import RegistrationError
from buildernet.node.hub_request import ask_hub
from buildernet.node.registration_config import RegistrationConfig

HUB = "http://127.0.0.1:7937"


class FakeConnection:
    """Answers every request the same way."""

    status: int = HTTPStatus.OK
    body: bytes = b"{}"
    error: Exception | None = None
    asked: tuple[Any, ...] = ()

    def __init__(self, *_: object, **__: object) -> None: ...

    def request(self, method: str, path: str, **more: Any) -> None:
        type(self).asked = (method, path, more.get("body"))
        if self.error is not None:
            raise self.error

    def getresponse(self) -> "FakeConnection":
        return self

    def read(self, limit: int) -> bytes:
        return self.body[:limit]

    def close(self) -> None: ...


@pytest.fixture
def answering(monkeypatch):
    def answer(**fields: Any) -> type[FakeConnection]:
        fake = type("Fake", (FakeConnection,), fields)
        monkeypatch.setattr(http.client, "HTTPConnection", fake)
        return fake

    return answer


def test_a_document_is_posted_and_none_is_got(answering):
    fake = answering(body=b'{"a": 1}')
    assert ask_hub(f"{HUB}/base/", "/x") == {"a": 1}
    assert fake.asked == ("GET", "/base/x", None)
    ask_hub(HUB, "/x", {"b": 2})
    assert fake.asked == ("POST", "/x", b'{"b": 2}')


def test_an_empty_answer_is_an_empty_object(answering):
    answering(body=b"")
    assert ask_hub(HUB, "/x") == {}


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"status": 403, "body": b""}, "answers 403"),
        ({"status": 422, "body": b"not \xff proved"}, r"422 to /x: not \\xff proved"),
        ({"body": b"[]"}, "no JSON object"),
        ({"body": b"{" * 10}, "no JSON object"),
        ({"error": ConnectionRefusedError("refused")}, "does not answer: refused"),
        ({"error": http.client.BadStatusLine("x")}, "does not answer"),
    ],
)
def test_anything_else_is_our_error(answering, fields, said):
    answering(**fields)
    with pytest.raises(RegistrationError, match=said):
        ask_hub(HUB, "/x")


def test_a_longer_answer_is_refused(answering, monkeypatch):
    monkeypatch.setattr(hub_request, "MAX_ANSWER_BYTES", 10)
    answering(body=b'{"a": "0123456789"}')
    with pytest.raises(RegistrationError, match="in its limits"):
        ask_hub(HUB, "/x")


@pytest.mark.parametrize(
    "endpoint",
    ["https://hub", "hub:7937", "", "http://", "http://hub:x", "http://hub:70000", "http://[::1",
     "http://h\nub", "http://hub/a b"],
)  # fmt: skip
def test_only_plain_http_urls_are_taken(endpoint):
    with pytest.raises(ConfigError, match="no http URL"):
        ask_hub(endpoint, "/x")
    with pytest.raises(ConfigError, match="no http URL"):
        RegistrationConfig(hub_endpoint=endpoint)


@given(st.binary(max_size=200))
def test_no_answer_raises_anything_else(body):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            http.client, "HTTPConnection", type("Fake", (FakeConnection,), {"body": body})
        )
        try:
            assert isinstance(ask_hub(HUB, "/x"), dict)
        except RegistrationError:
            return
