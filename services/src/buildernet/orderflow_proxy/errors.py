# SPDX-License-Identifier: MIT
"""Errors of orderflow-proxy's requests; those of orders stand in `order.py` and `orders`.

```
RequestError (net)
├── ShareError             400   POST /orderflow/share is refused as a whole
│   ├── ShareClockError      400   code `clock`: its time is not ours
│   ├── ShareSignatureError  401   not signed by the node it names
│   └── ShareSourceError     403   the node is not one of the hub's
└── JsonRpcError (net.jsonrpc)
    ├── SignatureRefusedError  400   -32603, as FlowProxy has it
    ├── UnknownSenderError     403   -32603, nobody we know signs on the system side
    ├── RateLimitedError       429   -32603
    ├── ArchiveBehindError     503   -32603, "Disk full"
    └── BusyError              503   -32002, the builder's queue is full
```
"""

from enum import StrEnum
from typing import ClassVar

from buildernet.net.errors import RequestError
from buildernet.net.jsonrpc import INTERNAL_ERROR, RESOURCE_UNAVAILABLE, JsonRpcError


class RefusalCode(StrEnum):
    """What a node that shared orders can do about a refusal; the text beside it is for people."""

    NONE = ""
    """Nothing: what was refused is not wanted."""
    BUSY = "busy"
    """The builder's queue is full: send it again a moment later."""
    CLOCK = "clock"
    """The request's time is too far from the receiver's, which stands in the answer."""


class ShareError(RequestError):
    """A request to share orders breaks a rule; nothing of it was taken."""

    refusal: ClassVar[RefusalCode] = RefusalCode.NONE


class ShareClockError(ShareError):
    """The request is from the future, or too old: one of the two clocks is wrong."""

    refusal = RefusalCode.CLOCK


class ShareSignatureError(ShareError):
    """The request is not signed by the node that it names."""

    status = 401


class ShareSourceError(ShareError):
    """The request comes from a node that the hub does not list."""

    status = 403


class SignatureRefusedError(JsonRpcError):
    """The signature header is missing, malformed or not over this body."""

    code = INTERNAL_ERROR


class UnknownSenderError(JsonRpcError):
    """A request to the system side is signed by nobody who may send there."""

    code = INTERNAL_ERROR
    status = 403


class RateLimitedError(JsonRpcError):
    """A signer sends more orders than one signer may."""

    code = INTERNAL_ERROR
    status = 429


class ArchiveBehindError(JsonRpcError):
    """The archive is behind by more than the node may hold: accepting would lose orders."""

    code = INTERNAL_ERROR
    status = 503


class BusyError(JsonRpcError):
    """The builder's queue is full: the order was not taken and may be sent again."""

    code = RESOURCE_UNAVAILABLE
    status = 503
