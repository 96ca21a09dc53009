# SPDX-License-Identifier: MIT
"""Requests that an OpenAPI description allows, and some it does not, and answers that follow it."""

import warnings
from typing import Any, Final

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from requests.auth import AuthBase
from schemathesis.checks import CHECKS, not_a_server_error
from schemathesis.core.result import Ok

_CONFORMANCE: Final = ("status_code_conformance", "content_type_conformance",
                       "response_schema_conformance", "response_headers_conformance")  # fmt: skip


def fuzz(
    document: dict[str, Any],
    url: str,
    *,
    examples: int,
    headers: dict[str, str] | None = None,
    auth: AuthBase | None = None,
) -> None:
    """Send so many requests to every operation of a document; blocks.

    Raises:
        AssertionError: An answer is not what the document promises, or is a server's error.
    """
    schema = schemathesis.openapi.from_dict(document)
    checks: list[Any] = [not_a_server_error, *CHECKS.get_by_names(_CONFORMANCE)]
    for result in schema.get_all_operations():
        assert isinstance(result, Ok), result
        operation = result.ok()

        @settings(
            max_examples=examples,
            database=None,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.explicit, Phase.generate],
        )
        @given(case=operation.as_strategy())
        def send(case: schemathesis.Case[Any]) -> None:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of requests' own making
                response = case.call(base_url=url, headers=headers, auth=auth)
            case.validate_response(response, checks=checks)

        send()
