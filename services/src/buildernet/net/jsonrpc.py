# SPDX-License-Identifier: MIT
"""JSON-RPC 2.0 as bytes: requests and answers parsed and encoded, without a transport.

Parameters stay undecoded (`msgspec.Raw`) until the method is known; the method's own typed decoder
then reads them once. The rules where the specification leaves a choice, or servers differ:

- `jsonrpc` must be "2.0". `params` must be an array.
- `id` may be a string of at most 256 bytes, a number or null; a missing one counts as null and is
  answered, so that nobody who forgets it loses the outcome. There are no notifications.
- A batch is 1 to 100 request objects in at most 1 MiB, answered in the same order by as many
  answers with HTTP status 200. A batch that holds anything but request objects is refused whole.
- Unknown members are ignored, and of a member that stands twice the last counts.

Reference: https://www.jsonrpc.org/specification; docs/protocols/orderflow-json-rpc.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import msgspec

from buildernet.net.errors import RequestError

PARSE_ERROR: Final = -32700
INVALID_REQUEST: Final = -32600
METHOD_NOT_FOUND: Final = -32601
INVALID_PARAMS: Final = -32602
INTERNAL_ERROR: Final = -32603
SERVER_ERROR: Final = -32000
RESOURCE_UNAVAILABLE: Final = -32002
"""Of EIP-1474: not now."""

MAX_BATCH_REQUESTS: Final = 100
"""Searchers send a few bundles per block; more at once belongs into several requests."""

MAX_BATCH_BYTES: Final = 1024 * 1024
"""Bounds the objects that one batch turns into: the count is only known after parsing."""

MAX_ID_BYTES: Final = 256
"""An id is echoed; a UUID takes 36."""

_MAX_SHOWN_CHARS: Final = 64
"""Of a peer's text inside our error messages."""

_WHITE_SPACE: Final = b" \t\r\n"
_VERSION: Final = "2.0"

RequestId = str | int | float | None


class JsonRpcError(RequestError):
    """A request is refused; code and message go to its sender.

    Attributes:
        code: JSON-RPC's error code.
        status: The HTTP status of an answer that is not part of a batch.
        request_id: Echoed when it was already known.
    """

    code: ClassVar[int] = SERVER_ERROR
    request_id: RequestId = None


class ParseError(JsonRpcError):
    """The body is no JSON, or nested without end."""

    code = PARSE_ERROR


class InvalidRequestError(JsonRpcError):
    """The body is JSON, but no request object or batch of them."""

    code = INVALID_REQUEST


class MethodNotFoundError(JsonRpcError):
    """There is no such method here."""

    code = METHOD_NOT_FOUND
    status = 404


class InvalidParamsError(JsonRpcError):
    """The parameters are not what the method takes."""

    code = INVALID_PARAMS


class InternalError(JsonRpcError):
    """The server failed; the cause is in its log."""

    code = INTERNAL_ERROR
    status = 500


class RemoteError(RequestError):
    """The other side answered with an error, or with what is no answer.

    Attributes:
        code: What it sent; 0 when its answer could not be read.
    """

    def __init__(self, message: str, *, code: int = 0) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Request:
    """One call."""

    method: str
    params: msgspec.Raw
    """The JSON array of parameters, not yet decoded and possibly no array at all."""
    id: RequestId = None


class _Envelope(msgspec.Struct):
    method: str
    jsonrpc: str = ""
    params: msgspec.Raw = msgspec.Raw(b"[]")
    id: RequestId = None


class _Failure(msgspec.Struct):
    code: int = 0
    message: str = ""


class _Answer(msgspec.Struct):
    result: msgspec.Raw = msgspec.Raw(b"null")
    error: _Failure | None = None


_ONE: Final = msgspec.json.Decoder(_Envelope)
_MANY: Final = msgspec.json.Decoder(list[_Envelope])
_ANSWER: Final = msgspec.json.Decoder(_Answer)
_SINGLE: Final = msgspec.json.Decoder(tuple[msgspec.Raw])
_ENCODER: Final = msgspec.json.Encoder()


def parse_requests(body: bytes) -> tuple[Request, ...] | Request:
    """Read a request, or a batch as a tuple.

    Args:
        body: What came by HTTP; its size is the caller's limit.

    Raises:
        ParseError: No JSON, wrong UTF-8, or nested deeper than the interpreter's stack.
        InvalidRequestError: JSON, but against the rules of the module docstring.
    """
    start = body[:64].lstrip(_WHITE_SPACE) or body.lstrip(_WHITE_SPACE)
    if start[:1] != b"[":
        return _request(_decode(_ONE, body))
    if len(body) > MAX_BATCH_BYTES:
        raise InvalidRequestError(f"Invalid Request: batch is larger than {MAX_BATCH_BYTES} bytes")
    envelopes: list[_Envelope] = _decode(_MANY, body)
    if not 0 < len(envelopes) <= MAX_BATCH_REQUESTS:
        raise InvalidRequestError(
            f"Invalid Request: batch has {len(envelopes)} requests, not 1 to {MAX_BATCH_REQUESTS}"
        )
    return tuple(_request(envelope) for envelope in envelopes)


def single_param(request: Request) -> bytes:
    """Return the JSON of a method's only parameter.

    Raises:
        InvalidParamsError: `params` is no array of exactly one.
    """
    try:
        (param,) = _SINGLE.decode(request.params)
    except (msgspec.MsgspecError, ValueError, RecursionError) as exc:
        raise InvalidParamsError("Invalid params: expected an array of one parameter") from exc
    return bytes(param)


# Any: whatever msgspec encodes; the caller's method decides.
def encode_result(request_id: RequestId, result: Any) -> bytes:
    """Return the answer to a request that succeeded."""
    return b'{"jsonrpc":"2.0","id":%b,"result":%b}' % (
        _ENCODER.encode(request_id),
        _ENCODER.encode(result),
    )


def encode_error(request_id: RequestId, error: JsonRpcError) -> bytes:
    """Return the answer to a request that failed."""
    failure = {"code": error.code, "message": error.message}
    return b'{"jsonrpc":"2.0","id":%b,"error":%b}' % (
        _ENCODER.encode(request_id),
        _ENCODER.encode(failure),
    )


def encode_batch(answers: Sequence[bytes]) -> bytes:
    """Join encoded answers into the answer to a batch."""
    return b"[%b]" % b",".join(answers)


def encode_request(method: str, param: bytes, *, request_id: int = 0) -> bytes:
    """Return a request with one parameter, members in the order of the Go implementation.

    Args:
        method: Its name.
        param: The parameter as JSON.
        request_id: Go's client sends 0.
    """
    return b'{"method":%b,"params":[%b],"id":%d,"jsonrpc":"2.0"}' % (
        _ENCODER.encode(method),
        param,
        request_id,
    )


def parse_answer(body: bytes) -> bytes:
    """Return the JSON of the result in an answer to a single request.

    Raises:
        RemoteError: The answer holds an error, or is none.
    """
    try:
        answer = _ANSWER.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError) as exc:
        raise RemoteError(f"no JSON-RPC answer: {_shown(str(exc))}") from exc
    if answer.error is not None:
        raise RemoteError(
            _shown(answer.error.message) or "error without a message", code=answer.error.code
        )
    return bytes(answer.result)


def unknown_method(name: str) -> MethodNotFoundError:
    """Return the error for a method that is not served here."""
    return MethodNotFoundError(f"Method not found: {_shown(name)}")


def _request(envelope: _Envelope) -> Request:
    if isinstance(envelope.id, str) and len(envelope.id.encode()) > MAX_ID_BYTES:
        raise InvalidRequestError(f"Invalid Request: id is longer than {MAX_ID_BYTES} bytes")
    if envelope.jsonrpc != _VERSION:
        error = InvalidRequestError("Invalid Request: jsonrpc must be 2.0")
        error.request_id = envelope.id
        raise error
    return Request(envelope.method, envelope.params, envelope.id)


# Any: each decoder has its own type.
def _decode(decoder: Any, body: bytes) -> Any:
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as exc:
        raise InvalidRequestError(f"Invalid Request: {exc}") from exc
    except RecursionError as exc:
        raise ParseError("Parse error: nested too deeply") from exc
    except (msgspec.MsgspecError, ValueError) as exc:
        raise ParseError(f"Parse error: {exc}") from exc


def _shown(text: str) -> str:
    return text.encode("ascii", "backslashreplace").decode()[:_MAX_SHOWN_CHARS]
