"""Rows that are asked for by key: requests that ask at the same time, and see as far, share a statement.

The busier the service, the more it has to answer at once, and the less each answer costs: the way to the database,
the start of a statement and the making of objects are paid for once for all. A request that comes alone waits for one
turn of the event loop. Those that share see as far, so each is told what it would be told alone; what becomes of one
is nothing to the others. A statement ends with the last who waits for it.

To see as far is to have the same visibility to the letter. Where all that is asked for belongs to one order, viewers
who differ in their companies alone share, too: the statement finds what any of them may see, and the company of the
order that was found tells who of them may see it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from loaders.batch import Batch
from loaders.result import COMPANY, CombinedQuery, ResultSet, RowView
from sql import Visibility
from sql.combine import CombinedStatement

# PostgreSQL works on one statement at a time, and so many rows are enough for it to be worth its while.
_MOST_KEYS = 50

# What is fetched, the rows that may be seen of it, and what may be done with them.
_Group = tuple[CombinedQuery, Visibility, frozenset[str]]

FetchCombined = Callable[[CombinedStatement, Sequence[Mapping[str, Any]]], Awaitable[Any]]


class Lookups:
    """Those of one process. `fetch` runs a statement that is several in one."""

    def __init__(self, fetch: FetchCombined) -> None:
        self._fetch = fetch
        self._gathering: dict[_Group, _Lookup] = {}
        self._under_way: set[asyncio.Task[None]] = set()

    async def get(
        self, query: CombinedQuery, batch: Batch, key: Any, visibility: Visibility, permissions: frozenset[str]
    ) -> RowView | None:
        """The row of `key` that may be seen, or None. `query` is of the statement of `batch`."""
        loop = asyncio.get_running_loop()
        group = query, visibility.company if query.is_of_one_order else visibility, permissions
        lookup = self._gathering.get(group)
        if lookup is None:
            lookup = self._gathering[group] = _Lookup(query, batch, group[1])
            loop.call_soon(self._send, group, lookup)
        answer: asyncio.Future[RowView | None] = loop.create_future()
        lookup.asked.append((key, visibility, answer))
        if len(lookup.asked) >= _MOST_KEYS:
            self._send(group, lookup)
        try:
            return await answer
        except asyncio.CancelledError:
            lookup.leave()
            raise

    def _send(self, group: "_Group", lookup: "_Lookup") -> None:
        if self._gathering.get(group) is not lookup:  # it was full, and is under way
            return
        del self._gathering[group]
        if lookup.left == len(lookup.asked):  # whoever asked has gone
            return
        task = lookup.task = asyncio.get_running_loop().create_task(lookup.run(self._fetch))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)


class _Lookup:
    """One statement for those that `asked`: their keys, and where each waits for its row."""

    __slots__ = ("asked", "batch", "left", "query", "task", "visibility")

    def __init__(self, query: CombinedQuery, batch: Batch, visibility: Visibility) -> None:
        self.query = query
        self.batch = batch
        self.visibility = visibility
        self.asked: list[tuple[Any, Visibility, asyncio.Future[RowView | None]]] = []
        self.left = 0  # how many of them do not wait any more
        self.task: asyncio.Task[None] | None = None

    def leave(self) -> None:
        """One of those that asked does not wait any more. The statement ends with the last of them."""
        self.left += 1
        if self.task is not None and self.left == len(self.asked):
            self.task.cancel()

    async def run(self, fetch: FetchCombined) -> None:
        batch, query = self.batch, self.query
        keys = list(dict.fromkeys([key for key, _, _ in self.asked]))
        asking = {visibility: None for _, visibility, _ in self.asked}
        visibility = self.visibility.joined(asking)
        values = {batch.parameter: keys, **batch.values, **visibility.keys}
        try:
            result = ResultSet(query, await fetch(query.combined, query.values(values)))
            found = {key: RowView(result, place) for place, key in enumerate(result.column(batch.column))}
            is_for_all = visibility is self.visibility
            for key, viewer, answer in self.asked:
                row = found.get(key)
                if row is not None and not (is_for_all or viewer.sees_company(row[COMPANY])):
                    row = None
                if not answer.done():  # whoever asked may have gone
                    answer.set_result(row)
        except Exception as error:
            for _, _, answer in self.asked:
                if not answer.done():
                    answer.set_exception(error)
        finally:
            for _, _, answer in self.asked:
                answer.cancel()  # who still waits by now would wait for ever: this task was cancelled
