# SPDX-License-Identifier: MIT
"""One blocking request to the hub through the attested client on this machine: plain HTTP."""

import http.client
import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from buildernet.net.http_url import parse_http_url
from buildernet.node.errors import RegistrationError

TIMEOUT_S: Final = 60.0
"""The attested client opens a connection with evidence of ours first, and the hub verifies more."""

MAX_ANSWER_BYTES: Final = 10 << 20
"""What the hub's longest answer may have."""

_SHOWN_BYTES: Final = 200


# Any: JSON values.
def ask_hub(
    endpoint: str, path: str, document: Mapping[str, Any] | None = None
) -> Mapping[str, Any]:
    """Send a GET, or a POST with a JSON object, and return the answer's JSON object.

    Raises:
        ConfigError: The endpoint is no http URL.
        RegistrationError: No answer, another status than 200, or no JSON object; an empty answer
            is an empty object.
    """
    parts = parse_http_url("hub_endpoint", endpoint)
    base = parts.path.rstrip("/")
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=TIMEOUT_S)
    try:
        if document is None:
            connection.request("GET", base + path)
        else:
            headers = {"Content-Type": "application/json"}
            body = json.dumps(document).encode()
            connection.request("POST", base + path, body=body, headers=headers)
        response = connection.getresponse()
        answer = response.read(MAX_ANSWER_BYTES + 1)
    except (OSError, ValueError, http.client.HTTPException) as exc:
        raise RegistrationError(f"hub does not answer: {str(exc) or type(exc).__name__}") from exc
    finally:
        connection.close()
    if response.status != HTTPStatus.OK:
        said = answer[:_SHOWN_BYTES].decode("ascii", "backslashreplace")
        raise RegistrationError(f"hub answers {response.status} to {path}: {said}")
    if not answer:
        return {}
    try:
        found = json.loads(answer) if len(answer) <= MAX_ANSWER_BYTES else None
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise RegistrationError(f"hub's answer to {path} is no JSON object in its limits")
    return found
