"""The loaders of one request: they gather keys into one statement, or have the rows before anybody asks."""

from asyncio import CancelledError, Task, current_task, gather
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from itertools import chain
from typing import Any, Protocol

from aiodataloader import DataLoader

from loaders.batch import Batch, Projection
from loaders.rows import Lists, Row, Rows
from sql import Statement


class Fetch(Protocol):
    """Runs a statement within the visibility of the request's viewer."""

    def __call__(self, statement: Statement, **values: Any) -> Awaitable[list[Row]]: ...


class BatchLoader(DataLoader[Any, Any]):
    """`fetching` are the tasks that fetch for the loaders of one request: they are nobody's children."""

    def __init__(self, batch: Batch, fetch: Fetch, fetching: set[Task[Any] | None]) -> None:
        super().__init__()
        self._batch = batch
        self._fetch = fetch
        self._fetching = fetching

    async def batch_load_fn(self, keys: list[Any]) -> list[Any]:
        batch, task = self._batch, current_task()
        self._fetching.add(task)
        try:
            rows = await self._fetch(batch.statement, **{batch.parameter: keys}, **batch.values)
        finally:
            self._fetching.discard(task)
        if not batch.many:
            row_of = {row[batch.column]: row for row in rows}
            return [row_of.get(key) for key in keys]
        rows_of: dict[Any, list[Row]] = {key: [] for key in keys}
        for row in rows:
            rows_of[row[batch.column]].append(row)
        return list(rows_of.values())

    def cancel(self) -> None:
        """Nobody waits for a key any more, and nothing is fetched for those that wait for their turn."""
        self._fetch = _fetch_nothing
        for future in self._cache.values():
            future.cancel()


async def _fetch_nothing(statement: Statement, **values: Any) -> list[Row]:  # noqa: ARG001
    raise CancelledError


class Prefetched:
    """Rows of a batch that came along with their parents, by key, with the columns of `projection`."""

    def __init__(self, batch: Batch, parent_keys: Sequence[Any], rows: Rows, projection: Projection) -> None:
        self.projection = projection
        self._batch = batch
        self._parent_keys = parent_keys
        self._rows = rows
        self._places: dict[Any, Any] | None = None

    def of(self, keys: Sequence[Any]) -> Any:
        """The values of the keys, as the batch has them; None for a null key. None where one is not the parents'."""
        only = keys[0] if len(keys) == 1 == len(self._parent_keys) else None
        if self._batch.many and only is not None and only == self._parent_keys[0]:
            return Lists(self._rows, (len(self._rows),))
        if self._places is None:
            self._places = self._lists() if self._batch.many else self._singles()
        try:
            found = list(map(self._places.__getitem__, keys))
        except KeyError:
            return None
        if self._batch.many and None not in keys:
            return Lists(self._rows.take(list(chain.from_iterable(found))), list(map(len, found)))
        if self._batch.many:
            return [None if key is None else self._rows.take(places) for key, places in zip(keys, found, strict=True)]
        if None in found:
            return [None if place is None else self._rows[place] for place in found]
        return self._rows.take(found)

    def _singles(self) -> dict[Any, int | None]:
        places: dict[Any, int | None] = dict.fromkeys(self._parent_keys)
        column = self._rows.column(self._batch.column)
        places.update(zip(column, range(len(column)), strict=True))
        return places

    def _lists(self) -> dict[Any, list[int]]:
        places: dict[Any, list[int]] = {key: [] for key in self._parent_keys}
        for place, key in enumerate(self._rows.column(self._batch.column)):
            places[key].append(place)
        return places


# What is `Loaders.add`ed if rows are asked for at all: they seldom are, and reading what came costs.
Pending = list[Callable[[], Iterable[tuple[Batch, Sequence[Any], Rows, Projection]]]]


class RowCache(Protocol):
    """Values by key that are cached until their rows change."""

    def cached(self, key: Any) -> Any | None: ...
    def get(self, key: Any, look_up: Callable[[], Awaitable[Any]]) -> Awaitable[Any]: ...


class Loaders:
    """The loaders of one request, made when first used. They share nothing with other requests: viewers differ.

    `cache_of` gives the cache of a batch's values, None where they are not cached. What is in `pending` by the time
    rows are asked for is taken from it, and added.
    """

    def __init__(
        self, fetch: Fetch, cache_of: Callable[[Batch], RowCache | None], pending: Pending | None = None
    ) -> None:
        self._fetch = fetch
        self._cache_of = cache_of
        self._loaders: dict[Batch, BatchLoader] = {}
        self._prefetched: dict[Batch, list[Prefetched]] = {}
        self._pending: Pending = [] if pending is None else pending
        self._fetching: set[Task[Any] | None] = set()

    def cancel(self) -> None:
        """Ends what is being fetched: the request is not answered any more."""
        for loader in self._loaders.values():
            loader.cancel()
        for task in self._fetching:
            if task is not None:
                task.cancel()

    def add(self, batch: Batch, parent_keys: Sequence[Any], rows: Rows, projection: Projection) -> None:
        """Rows of the batch, all that these keys have, with the columns of `projection`."""
        self._prefetched.setdefault(batch, []).append(Prefetched(batch, parent_keys, rows, projection))

    def load(self, batch: Batch, key: Any) -> Awaitable[Any]:
        """The value of `key`: see `Batch`. Keys asked for before the event loop turns share one statement."""
        cache = self._cache_of(batch) if batch.tables else None
        return self._load(batch, key) if cache is None else cache.get(key, partial(self._load, batch, key))

    def load_all(self, batch: Batch, keys: Sequence[Any], projection: Projection = None) -> Any:
        """The values of all keys, None for a key that is None: at once where they are available, else later.

        Rows have the columns of `projection` at least.
        """
        values = self.available(batch, keys, projection)
        return self._load_each(batch, keys) if values is None else values

    def available(self, batch: Batch, keys: Sequence[Any], projection: Projection = None) -> Any:
        """The values of all keys as `load_all` gives them; None where something must be fetched."""
        cache = self._cache_of(batch) if batch.tables else None
        if cache is not None:
            cached = [None if key is None else cache.cached(key) for key in keys]
            return None if any(map(_is_missing, cached, keys)) else cached
        while self._pending:
            for came in self._pending.pop()():
                self.add(*came)
        for prefetched in self._prefetched.get(batch, ()):
            # Another part of the document may have selected fewer columns of the same rows.
            values = prefetched.of(keys) if _covers(prefetched.projection, projection) else None
            if values is not None:
                return values
        return None

    def _load(self, batch: Batch, key: Any) -> Awaitable[Any]:
        loader = self._loaders.get(batch)
        if loader is None:
            loader = self._loaders[batch] = BatchLoader(batch, self._fetch, self._fetching)
        return loader.load(key)

    async def _load_each(self, batch: Batch, keys: Sequence[Any]) -> list[Any]:
        values = iter(await gather(*(self.load(batch, key) for key in keys if key is not None)))
        return [None if key is None else next(values) for key in keys]


def _covers(fetched: Projection, projection: Projection) -> bool:
    return fetched is None or (projection is not None and projection <= fetched)


def _is_missing(value: Any, key: Any) -> bool:
    return value is None and key is not None
