# SPDX-License-Identifier: MIT
"""The bodies of `POST /orderflow/share`, in both directions: bytes in, values out, no I/O.

A request carries many orders under one node signature. Each entry of `orderflow` is either an
order (`method`, `params`: what one of our nodes sends) or a transaction described field by field
(what the public draft shows). The signature stands in the body and covers the body: the bytes as
sent, with the signature's own text taken out.

Reference: docs/protocols/orderflow-share.md.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final

import msgspec

from buildernet.ethereum.address import ADDRESS_BYTES, Address
from buildernet.ethereum.errors import SignatureError
from buildernet.ethereum.signature import SigningKey, sign_body, verify_body
from buildernet.orderflow_proxy.errors import (
    RefusalCode,
    ShareClockError,
    ShareError,
    ShareSignatureError,
)
from buildernet.orderflow_proxy.order import Order, OrderPriority

PATH: Final = "/orderflow/share"

MAX_REQUEST_BYTES: Final = 1024 * 1024
"""MAX_REQUEST_SIZE of the draft: larger orders travel alone as JSON-RPC."""

MAX_RESPONSE_BYTES: Final = 10 * 1024 * 1024
"""MAX_RESPONSE_SIZE of the draft."""

MAX_ENTRIES_BYTES: Final = MAX_REQUEST_BYTES - 512
"""What entries with their commas may take together; the rest of a request is shorter than 512."""

MAX_ENTRIES: Final = 4096
"""Bounds the objects that one request turns into; 1 MiB of smallest transactions is fewer."""

TIMEOUT_S: Final = 60
"""ORDERFLOW_SHARING_TIMEOUT of the draft."""

MAX_AGE_S: Final = 300
"""Older requests are refused, as the draft has it; for as long the nonces are remembered."""

MAX_SKEW_S: Final = 2
"""The draft refuses every time in the future; nodes keep time by NTP to well under a second, and
whole seconds round."""

SOURCES: Final = frozenset({"peer", "flashbots"})
"""Where an entry may come from, for sharing between nodes."""

NONCE_BYTES: Final = 16

_MAX_TIMESTAMP: Final = (1 << 53) - 1
"""Of an answer, whose time is compared: what every reader of JSON can hold."""

_MAX_ERROR_CHARS: Final = 200
"""Of one refusal: all of them together stay far below `MAX_RESPONSE_BYTES`."""

_NODE_ID: Final = re.compile(r"0x0{24}([0-9a-fA-F]{40})", re.ASCII)
_SIGNATURE: Final = re.compile(r"0x[0-9a-fA-F]{130}", re.ASCII)
_QUANTITY: Final = re.compile(r"0x[0-9a-fA-F]{1,16}", re.ASCII)


class Entry(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One element of `orderflow`, as it stands in the body."""

    source: str
    timestamp: int
    """Seconds since 1970."""
    method: str = ""
    params: msgspec.Raw = msgspec.Raw(b"")
    priority: str | None = None
    tx_hash: str = ""
    gas_price: str = ""
    gas_limit: str = ""
    sender: str = ""
    recipient: str | None = None
    value: str = ""
    data: str = ""
    bundle_id: str | None = None
    raw: str = ""
    """The signed transaction; without it, `data` must be it."""


class _Body(msgspec.Struct, frozen=True):
    source_node: str
    orderflow: list[Entry]
    target_block: str
    timestamp: int
    signature: str


class Refusal(msgspec.Struct, frozen=True, omit_defaults=True):
    """One order of a request that was not taken, while others were."""

    index: int
    error: str
    code: Any = RefusalCode.NONE
    """A `RefusalCode`; whatever else another implementation writes here means none."""


class ShareResponse(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a node answers."""

    success: bool
    error: str | None
    timestamp: Annotated[int, msgspec.Meta(ge=0, le=_MAX_TIMESTAMP)]
    """Seconds since 1970."""
    refused: tuple[Refusal, ...] = ()
    code: Any = RefusalCode.NONE
    """As that of a refusal, for the request as a whole."""


@dataclass(frozen=True, slots=True)
class ShareRequest:
    """A request whose signature fits the node it names; neither time nor source are checked."""

    source: Address
    entries: tuple[Entry, ...]
    target_block: int
    timestamp: int
    nonce: bytes
    """16 bytes that no other signed request has: part of the signature."""


_BODY: Final = msgspec.json.Decoder(_Body)
_RESPONSE: Final = msgspec.json.Decoder(ShareResponse)
_ENCODER: Final = msgspec.json.Encoder()


def encode_entry(order: Order, *, now_s: int) -> bytes:
    """Return an order as an entry; the same bytes serve every peer.

    Args:
        order: What was received.
        now_s: Seconds since 1970. The entry's time is not after it: times of arrival go on rising
            when the clock is set back, and peers refuse what is from the future.
    """
    return b'{"method":"%b","params":%b,"timestamp":%d,"source":"peer","priority":"%b"}' % (
        order.method.encode(),
        order.params,
        min(order.received_at_us // 1_000_000, now_s),
        order.priority.encode(),
    )


def encode_request(
    entries: Sequence[bytes], *, key: SigningKey, target_block: int, timestamp: int
) -> bytes:
    """Return a signed request.

    Args:
        entries: From `encode_entry`: at least one, with a comma each at most `MAX_ENTRIES_BYTES`,
            at most `MAX_ENTRIES`.
        key: The node's; the request names its address as the source.
        target_block: The highest block that any of the orders may enter; 0 when none says.
        timestamp: Now, in seconds since 1970.

    Raises:
        ShareError: There are no entries, too many, or they are too large.
    """
    joined = b",".join(entries)
    if not 0 < len(entries) <= MAX_ENTRIES or len(joined) > MAX_ENTRIES_BYTES:
        raise ShareError(f"{len(entries)} entries of {len(joined)} bytes do not fit one request")
    head = b'{"source_node":"%b","orderflow":[%b],"target_block":"%#x","timestamp":%d,' % (
        encode_node_id(key.address).encode(),
        joined,
        target_block,
        timestamp,
    )
    signature = sign_body(key, head + b'"signature":""}').partition(":")[2]
    return head + b'"signature":"%b"}' % signature.encode()


def parse_request(body: bytes) -> ShareRequest:
    """Read a request and verify that the node it names signed it.

    Raises:
        ShareError: The body is larger than `MAX_REQUEST_BYTES`, no JSON of the right shape, has no
            or too many entries, or names no node.
        ShareSignatureError: The signature is not of that node over this body.
    """
    if len(body) > MAX_REQUEST_BYTES:
        raise ShareError(f"request is {len(body)} bytes, at most {MAX_REQUEST_BYTES}")
    try:
        parsed = _BODY.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError) as exc:
        raise ShareError(f"request has another shape: {_shown(exc)}") from exc
    if not 0 < len(parsed.orderflow) <= MAX_ENTRIES:
        raise ShareError(f"orderflow has {len(parsed.orderflow)} entries, not 1 to {MAX_ENTRIES}")
    source = parse_node_id(parsed.source_node)
    return ShareRequest(
        source=source,
        entries=tuple(parsed.orderflow),
        target_block=parse_quantity(parsed.target_block, name="target_block"),
        timestamp=parsed.timestamp,
        nonce=_verify(body, parsed.signature, source),
    )


def check_request(request: ShareRequest, *, now_s: float) -> None:
    """Check what the draft asks of times and sources.

    Args:
        request: From `parse_request`.
        now_s: Seconds since 1970.

    Raises:
        ShareClockError: The request is older than `MAX_AGE_S` or more than `MAX_SKEW_S` in the
            future.
        ShareError: An entry is from the future, or its source may not be shared between nodes.
    """
    if request.timestamp > now_s + MAX_SKEW_S:
        raise ShareClockError(f"timestamp {request.timestamp} is in the future")
    if request.timestamp < now_s - MAX_AGE_S:
        raise ShareClockError(f"timestamp {request.timestamp} is more than {MAX_AGE_S} s old")
    for index, entry in enumerate(request.entries):
        if entry.source not in SOURCES:
            raise ShareError(f"orderflow[{index}]: source is neither peer nor flashbots")
        if not 0 <= entry.timestamp <= now_s + MAX_SKEW_S:
            raise ShareError(f"orderflow[{index}]: timestamp is in the future")
        if entry.priority not in (None, *OrderPriority):
            raise ShareError(f"orderflow[{index}]: no such priority")


def encode_response(
    *,
    now_s: float,
    error: str | None = None,
    code: RefusalCode = RefusalCode.NONE,
    refused: Iterable[Refusal] = (),
) -> bytes:
    """Return an answer: success unless `error` says why everything was refused."""
    shortened = tuple(Refusal(r.index, r.error[:_MAX_ERROR_CHARS], r.code) for r in refused)
    return _ENCODER.encode(ShareResponse(error is None, error, int(now_s), shortened, code))


def parse_response(body: bytes) -> ShareResponse:
    """Read an answer.

    Raises:
        ShareError: It is larger than `MAX_RESPONSE_BYTES` or has another shape.
    """
    if len(body) > MAX_RESPONSE_BYTES:
        raise ShareError(f"response is larger than {MAX_RESPONSE_BYTES} bytes")
    try:
        return _RESPONSE.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError) as exc:
        raise ShareError(f"response has another shape: {_shown(exc)}") from exc


def encode_node_id(address: Address) -> str:
    """Return the 32 bytes that name a node: its signing address, after twelve zeros."""
    return "0x" + address.raw.rjust(32, b"\0").hex()


def parse_node_id(text: str) -> Address:
    """Return the signing address of a node.

    Raises:
        ShareError: The text is no address in 32 bytes.
    """
    match = _NODE_ID.fullmatch(text)
    if match is None:
        raise ShareError(f"source_node is no {ADDRESS_BYTES}-byte address in 32 bytes")
    return Address(bytes.fromhex(match[1]))


def parse_quantity(text: str, *, name: str) -> int:
    """Return a number of at most 64 bits from `0x` and digits.

    Raises:
        ShareError: The text is anything else.
    """
    if _QUANTITY.fullmatch(text) is None:
        raise ShareError(f"{name} is no 0x number of at most 64 bits")
    return int(text, 16)


def _verify(body: bytes, signature: str, source: Address) -> bytes:
    """Verify the signature and return the nonce within it."""
    text = signature.encode()
    if _SIGNATURE.fullmatch(signature) is None:
        raise ShareSignatureError("signature is not 0x and 130 hexadecimal digits")
    if body.count(text) != 1:  # else it would be open which one is taken out
        raise ShareSignatureError("signature stands more than once, or escaped, in the body")
    try:
        verify_body(f"{source.hex()}:{signature}", body.replace(text, b""))
    except SignatureError as exc:
        raise ShareSignatureError(exc.message) from exc
    return bytes.fromhex(signature[2 : 2 + 2 * NONCE_BYTES])


def _shown(error: Exception) -> str:
    return str(error).encode("ascii", "backslashreplace").decode()[:_MAX_ERROR_CHARS]
