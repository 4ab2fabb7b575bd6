"""Rows that are asked for by key: requests that ask at the same time, and see as far, share a statement.

The busier the service, the more it has to answer at once, and the less each answer costs: the way to the database,
the start of a statement and the making of objects are paid for once for all. A request that comes alone waits for one
turn of the event loop. Those that share see as far, so each is told what it would be told alone; what becomes of one
is nothing to the others.

To see as far is to have the same visibility to the letter. Where all that is asked for belongs to one order, viewers
who differ in their companies alone share, too: the statement finds what any of them may see, and the company of the
order that was found tells who of them may see it.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from app.postgres.gathering import Gathering, Gatherings
from loaders.batch import Batch
from loaders.result import COMPANY, CombinedQuery, ResultSet, RowView
from sql import Visibility
from sql.combine import CombinedStatement

# What is fetched, the rows that may be seen of it, and what may be done with them.
_Group = tuple[CombinedQuery, Visibility, frozenset[str]]

FetchCombined = Callable[[CombinedStatement, Sequence[Mapping[str, Any]]], Awaitable[Any]]


class Lookups:
    """Those of one process. `fetch` runs a statement that is several in one."""

    def __init__(self, fetch: FetchCombined) -> None:
        self._fetch = fetch
        self._gatherings = Gatherings[_Lookup]()

    def get(
        self, query: CombinedQuery, batch: Batch, key: Any, visibility: Visibility, permissions: frozenset[str]
    ) -> Awaitable[RowView | None]:
        """The row of `key` that may be seen, or None. `query` is of the statement of `batch`."""
        group: _Group = query, visibility.company if query.is_of_one_order else visibility, permissions
        return self._gatherings.ask(group, lambda: _Lookup(self._fetch, query, batch, group[1]), key, visibility)


class _Lookup(Gathering):
    """One statement for keys, and for the visibility of each that asks."""

    __slots__ = ("batch", "fetch", "query", "visibility")

    def __init__(self, fetch: FetchCombined, query: CombinedQuery, batch: Batch, visibility: Visibility) -> None:
        super().__init__()
        self.fetch = fetch
        self.query = query
        self.batch = batch
        self.visibility = visibility

    async def answer(self) -> None:
        batch, query = self.batch, self.query
        keys = list(dict.fromkeys([key for key, _, _ in self.asked]))
        asking = {visibility: None for _, visibility, _ in self.asked}
        visibility = self.visibility.joined(asking)
        values = {batch.parameter: keys, **batch.values, **visibility.keys}
        result = ResultSet(query, await self.fetch(query.combined, query.values(values)))
        found = {key: RowView(result, place) for place, key in enumerate(result.column(batch.column))}
        is_for_all = visibility is self.visibility
        for key, viewer, future in self.asked:
            row = found.get(key)
            if row is not None and not (is_for_all or viewer.sees_company(row[COMPANY])):
                row = None
            if not future.done():  # whoever asked may have gone
                future.set_result(row)
