# SPDX-License-Identifier: MIT
"""Answers that several APIs give, and the one way to read a page of a list."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from aiohttp import web

from buildernet.builder_hub.errors import BadRequestError, UnknownError
from buildernet.builder_hub.hub import HUB
from buildernet.builder_hub.limits import DEFAULT_PAGE, MAX_PAGE
from buildernet.builder_hub.measurement_store import list_active
from buildernet.builder_hub.names import parse_measurement_name, parse_name
from buildernet.builder_hub.paging import Page
from buildernet.builder_hub.registrations import builders_with_services

MAX_ROW: Final = (1 << 63) - 1
"""The largest number a row may have."""


# Any: JSON values.
def json_answer(value: Any) -> web.Response:
    """Return JSON without blanks."""
    return web.json_response(value, dumps=lambda v: json.dumps(v, separators=(",", ":")))


def raw_json(text: str) -> web.Response:
    """Return a document as it was sent; nobody may keep a copy on the way."""
    return web.Response(
        text=text, content_type="application/json", headers={"Cache-Control": "no-store"}
    )


async def measurements(request: web.Request) -> web.Response:
    """Answer with the active measurements, `[]` when there are none."""
    async with request.app[HUB].transaction() as connection:
        found = await list_active(connection)
    return json_answer([one.render() for one in found])


# Any: as above.
async def network_builders(request: web.Request, network: str) -> Sequence[dict[str, Any]]:
    """Return the active builders of a network with what their services registered."""
    async with request.app[HUB].transaction() as connection:
        return await builders_with_services(connection, network)


def path_name(request: web.Request) -> str:
    """Return the name of a builder or measurement in the path.

    Raises:
        UnknownError: Nothing can have this name, so there is nothing of this name.
    """
    try:
        return parse_measurement_name(request.match_info["name"])
    except BadRequestError as exc:
        raise UnknownError("there is nothing of this name") from exc


def read_number(request: web.Request, name: str, *, high: int = MAX_ROW) -> int | None:
    """Return a whole number of the query, None if it is not there.

    Raises:
        BadRequestError: It is none, or outside 1 to `high`.
    """
    text = request.query.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 20 and 1 <= int(text) <= high):
        raise BadRequestError(f"{name} is not a whole number from 1 to {high}")
    return int(text)


def read_page(request: web.Request, *, by_name: bool = False) -> Page:
    """Return which rows the query asks for: `limit`, and `before` a number or `after` a name.

    Raises:
        BadRequestError: One of them is malformed.
    """
    limit = read_number(request, "limit", high=MAX_PAGE) or DEFAULT_PAGE
    if not by_name:
        return Page(limit, before=read_number(request, "before"))
    after = request.query.get("after")
    return Page(limit, after=None if after is None else parse_name(after, "after"))


# Any: rows of JSON.
def next_page(
    request: web.Request, page: Page, rows: Sequence[Mapping[str, Any]], *, key: str = "id"
) -> str | None:
    """Return where the rows behind these are; None when there cannot be any.

    Args:
        request: Whose other parameters stay.
        page: What was asked for.
        rows: What was found.
        key: The member by which the list is ordered: a number `id`, or a name.
    """
    if len(rows) < page.limit:
        return None
    parameter = "before" if key == "id" else "after"
    return f"?{request.rel_url.update_query({parameter: str(rows[-1][key])}).raw_query_string}"


# Any: as above.
def list_answer(
    request: web.Request, page: Page, rows: Sequence[Mapping[str, Any]], *, key: str = "id"
) -> web.Response:
    """Answer with one page of a list; a `Link` header names the next one, if there may be one."""
    answer = json_answer(rows)
    link = next_page(request, page, rows, key=key)
    if link is not None:
        answer.headers["Link"] = f'<{link}>; rel="next"'
    return answer
