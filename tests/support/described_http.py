# SPDX-License-Identifier: MIT
"""Requests made from an OpenAPI description, and answers held against it.

Importing schemathesis takes longer than most tests, so this module is imported where it is used.
"""

import warnings
from collections.abc import Collection, Mapping
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
    "response_schema_conformance",
})  # fmt: skip


def send_described_requests(
    document: Mapping[str, Any],
    url: str,
    *,
    examples: int,
    headers: Mapping[str, str] | None = None,
    auth: AuthBase | None = None,
    checks: Collection[str] = CONFORMANCE,
) -> int:
    """Send requests that the description allows, and some it does not, to every operation.

    Returns how many were sent. Blocking.
    """
    chosen: list[Any] = [*CHECKS.get_by_names(sorted(checks))]
    sent = 0
    for result in schemathesis.openapi.from_dict(dict(document)).get_all_operations():
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
        @given(
            case=one_of([operation.as_strategy(generation_mode=mode) for mode in GenerationMode])
        )
        def send(case: schemathesis.Case[Any]) -> None:
            nonlocal sent
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of requests' own making
                response = case.call(base_url=url, headers=dict(headers or {}), auth=auth)
            case.validate_response(response, checks=chosen)
            sent += 1

        send()
    return sent
