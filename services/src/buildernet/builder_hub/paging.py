# SPDX-License-Identifier: MIT
"""The one way to give a list in pages: newest first by number, or by name."""

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Select

from buildernet.builder_hub.limits import DEFAULT_PAGE


@dataclass(frozen=True, slots=True)
class Page:
    """Which rows of a list are wanted."""

    limit: int = DEFAULT_PAGE
    before: int | None = None
    """Only rows with smaller numbers, in lists that grow."""
    after: str | None = None
    """Only rows with later names, in lists by name."""

    # Any: rows of any shape.
    def newest_first(
        self, query: Select[*tuple[Any, ...]], number: ColumnElement[int]
    ) -> Select[*tuple[Any, ...]]:
        """Return the query for this page of a list that grows."""
        if self.before is not None:
            query = query.where(number < self.before)
        return query.order_by(number.desc()).limit(self.limit)

    # Any: as above.
    def by_name(
        self, query: Select[*tuple[Any, ...]], name: ColumnElement[str]
    ) -> Select[*tuple[Any, ...]]:
        """Return the query for this page of a list by name."""
        if self.after is not None:
            query = query.where(name > self.after)
        return query.order_by(name).limit(self.limit)


FIRST_PAGE: Final = Page()
