# SPDX-License-Identifier: MIT
"""What stands before every route of the instance listener when the attested proxy has a secret."""

import hmac
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from buildernet.builder_hub.errors import InstanceRefusedError
from buildernet.net.proxy_secret import HEADER

_OPEN: Final = frozenset({"/livez", "/readyz", "/drain", "/undrain"})
"""For the machine's own load balancer and operator; they say nothing about instances."""


def require_secret(secret: str) -> Middleware:
    """Return the middleware that lets in what shows the secret, once."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path not in _OPEN:
            shown = request.headers.getall(HEADER, [])
            if len(shown) != 1 or not hmac.compare_digest(
                shown[0].encode(errors="replace"), secret.encode()
            ):
                raise InstanceRefusedError("it does not show the attested proxy's secret")
        return await handler(request)

    return middleware
