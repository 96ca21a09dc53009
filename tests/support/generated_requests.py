# SPDX-License-Identifier: MIT
"""Requests that an OpenAPI description allows, and some it does not, and answers that follow it."""

import warnings
from collections.abc import Collection
from typing import Any, Final

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.strategies import one_of
from requests.auth import AuthBase
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.core.result import Ok
from schemathesis.generation import GenerationMode

load_all_checks()
EVERY_CHECK: Final = frozenset(CHECKS.get_all_names())
CONFORMANCE: Final = frozenset({
    "not_a_server_error", "status_code_conformance", "content_type_conformance",
    "response_schema_conformance", "response_headers_conformance",
})  # fmt: skip
ALLOWED: Final = (GenerationMode.POSITIVE,)
ALLOWED_AND_NOT: Final = tuple(GenerationMode)


def fuzz(
    document: dict[str, Any],
    url: str,
    *,
    examples: int,
    headers: dict[str, str] | None = None,
    auth: AuthBase | None = None,
    checks: Collection[str] = CONFORMANCE,
    modes: Collection[GenerationMode] = ALLOWED,
) -> None:
    """Send so many requests to every operation of a document; blocks.

    Raises:
        AssertionError: An answer is not what the document promises, or is a server's error.
    """
    chosen: list[Any] = [*CHECKS.get_by_names(sorted(checks))]
    operations = list(schemathesis.openapi.from_dict(document).get_all_operations())
    assert operations
    for result in operations:
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
        @given(case=one_of([operation.as_strategy(generation_mode=mode) for mode in modes]))
        def send(case: schemathesis.Case[Any]) -> None:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of requests' own making
                response = case.call(base_url=url, headers=headers, auth=auth)
            case.validate_response(response, checks=chosen)

        send()
