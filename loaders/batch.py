"""What all loaders share: a `Batch` says how to gather rows for many keys at once, `Loaders` holds a request's own."""

from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import Any, Protocol

from aiodataloader import DataLoader

from sql import Statement

Row = Any  # an asyncpg.Record, read by column name


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


class Loaders:
    """The loaders of one request, made when first used. They share nothing with other requests: scopes differ."""

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch
        self._loaders: dict[Batch, BatchLoader] = {}

    def load(self, batch: Batch, key: Any) -> Awaitable[Any]:
        """The value of `key`: see `Batch`. Keys asked for before the event loop turns share one statement."""
        loader = self._loaders.get(batch)
        if loader is None:
            loader = self._loaders[batch] = BatchLoader(batch, self._fetch)
        return loader.load(key)


__all__ = ["Batch", "Fetch", "Loaders", "many", "one"]
