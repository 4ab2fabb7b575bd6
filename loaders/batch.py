"""What all loaders share: a `Batch` says how to gather rows for many keys at once, `Loaders` holds a request's own."""

from asyncio import gather
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from aiodataloader import DataLoader

from loaders.rows import Lists, Row, Rows
from sql import Statement


class Fetch(Protocol):
    """Runs a statement within the scope of the request's viewer."""

    def __call__(self, statement: Statement, **values: Any) -> Awaitable[list[Row]]: ...


@dataclass(frozen=True)
class Batch:
    """One statement for many keys.

    `parameter` is the statement's parameter that takes the list of keys, `column` the column of a row that holds its
    key. A key's value is the list of its rows in the statement's order if `many`, else its row or None. `values` are
    further parameters, the same for all keys. Equal batches share a loader.
    """

    statement: Statement
    parameter: str
    column: str
    many: bool = False
    values: dict[str, Any] = field(default_factory=dict)

    def __hash__(self) -> int:
        """Of the statement alone: `values` may hold lists, and few batches share a statement."""
        return hash(self.statement)


def one(statement: Statement, *, parameter: str, column: str, **values: Any) -> Batch:
    """A batch of at most one row a key."""
    return Batch(statement, parameter, column, values=values)


def many(statement: Statement, *, parameter: str, column: str, **values: Any) -> Batch:
    """A batch of any number of rows a key."""
    return Batch(statement, parameter, column, many=True, values=values)


class BatchLoader(DataLoader[Any, Any]):
    def __init__(self, batch: Batch, fetch: Fetch) -> None:
        super().__init__()
        self._batch = batch
        self._fetch = fetch

    async def batch_load_fn(self, keys: list[Any]) -> list[Any]:
        batch = self._batch
        rows = await self._fetch(batch.statement, **{batch.parameter: keys}, **batch.values)
        if not batch.many:
            row_of = {row[batch.column]: row for row in rows}
            return [row_of.get(key) for key in keys]
        rows_of: dict[Any, list[Row]] = {key: [] for key in keys}
        for row in rows:
            rows_of[row[batch.column]].append(row)
        return list(rows_of.values())


class Gathered:
    """Rows of a batch that came along with their parents, by key."""

    def __init__(self, batch: Batch, parent_keys: Sequence[Any], rows: Rows) -> None:
        self._batch = batch
        self._parent_keys = parent_keys
        self._rows = rows
        self._places: dict[Any, list[int]] = {}

    def of(self, keys: Sequence[Any]) -> Lists | None:
        """The rows of each key. None where a key is not among the parents'."""
        if len(keys) == 1 == len(self._parent_keys) and keys[0] == self._parent_keys[0] is not None:
            return Lists(self._rows, (len(self._rows),))
        places = self._places or self._find_places()
        try:
            found = [places[key] for key in keys]
        except KeyError:
            return None
        return Lists(self._rows.take([place for each in found for place in each]), list(map(len, found)))

    def _find_places(self) -> dict[Any, list[int]]:
        self._places = {key: [] for key in self._parent_keys}
        for place, key in enumerate(self._rows.column(self._batch.column)):
            self._places[key].append(place)
        return self._places


class Loaders:
    """The loaders of one request, made when first used. They share nothing with other requests: scopes differ."""

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch
        self._loaders: dict[Batch, BatchLoader] = {}
        self._gathered: dict[Batch, list[Gathered]] = {}

    def add(self, batch: Batch, parent_keys: Sequence[Any], rows: Rows) -> None:
        """Rows of the batch, all that these keys have."""
        self._gathered.setdefault(batch, []).append(Gathered(batch, parent_keys, rows))

    def load(self, batch: Batch, key: Any) -> Awaitable[Any]:
        """The value of `key`: see `Batch`. Keys asked for before the event loop turns share one statement."""
        loader = self._loaders.get(batch)
        if loader is None:
            loader = self._loaders[batch] = BatchLoader(batch, self._fetch)
        return loader.load(key)

    def load_all(self, batch: Batch, keys: Sequence[Any]) -> Any:
        """The values of all keys, None for a key that is None. Later, unless they came with their parents."""
        for gathered in self._gathered.get(batch, ()):
            found = gathered.of(keys)
            if found is not None:
                return found if batch.many else _at_most_one(found)
        return self._load_each(batch, keys)

    async def _load_each(self, batch: Batch, keys: Sequence[Any]) -> list[Any]:
        values = iter(await gather(*(self.load(batch, key) for key in keys if key is not None)))
        return [None if key is None else next(values) for key in keys]


def _at_most_one(found: Lists) -> Sequence[Row | None]:
    if len(found.rows) == len(found.lengths):
        return found.rows
    return [rows[0] if rows else None for rows in found]


__all__ = ["Batch", "Fetch", "Loaders", "Row", "many", "one"]
