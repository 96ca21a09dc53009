# SPDX-License-Identifier: MIT
"""What may be pinned; tests/service/test_orderflow_delivery_faults.py has the handshakes."""

import asyncio
from typing import Any

import pytest

from buildernet.net.errors import PinError
from buildernet.net.pinning import MAX_PEM_BYTES, PinnedPeer
from tests.support.orderflow_nodes import client_der, make_certificate


class Shown(asyncio.BaseTransport):
    """A connection whose peer showed a certificate."""

    def __init__(self, der: bytes | None) -> None:
        super().__init__()
        self._der = der

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        assert name == "ssl_object"
        return self if self._der is not None else default

    def getpeercert(self, *, binary_form: bool) -> bytes | None:
        assert binary_form
        return self._der or None


def test_each_pinned_certificate_is_taken_and_no_other() -> None:
    old, new, other = (make_certificate() for _ in range(3))
    pinned = PinnedPeer(old.pem + "\n" + new.pem)
    pinned.verify(Shown(client_der(old)))
    pinned.verify(Shown(client_der(new)))
    for der in (client_der(other), b"", None):
        with pytest.raises(PinError):
            pinned.verify(Shown(der))


@pytest.mark.parametrize(
    "pem", ["", "x", "é", "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----"]
)
def test_what_is_no_certificate_is_refused(pem: str) -> None:
    with pytest.raises(PinError, match="no PEM"):
        PinnedPeer(pem)


def test_length_is_bounded() -> None:
    with pytest.raises(PinError, match="more than"):
        PinnedPeer("x" * (MAX_PEM_BYTES + 1))
