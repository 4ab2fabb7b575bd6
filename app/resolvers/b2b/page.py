"""Offset lists of the B2B surface: one way to filter, sort, page and count for every noun (B-22 to B-31)."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time
from functools import cached_property
from operator import attrgetter
from typing import Any

from app.context import Context, Info
from app.errors import ValidationError
from app.execution.field_plan import FieldPlan
from app.resolvers.b2b.argument import as_day, as_instant, as_value
from app.resolvers.field_plan import PlannedType, lookahead, picked, selects
from app.resolvers.names import snake_case
from app.resolvers.once import once
from loaders.batch import Batch
from loaders.selection import RowSelection
from sql import File, Statement
from sql.statement import NULLS_FIRST

DEFAULT_PAGE = 1
DEFAULT_SIZE = 12
# So many rows before a page cost more than to count the list, where that has a variant of its own.
_DEEP = 1000
_DATES = {"createdAt", "lastModifiedAt", "expectedDeliveryAt", "exportedAt"}

Convert = Callable[[Any], Any]


class Page:
    """A list of which rows and count are read only when a selected field asks for them, and once at most.

    `rows` and `count` are there already where the root field could tell that they will be asked for.
    """

    def __init__(
        self,
        page: int,
        size: int,
        read_rows: Callable[[], Awaitable[Any]],
        read_count: Callable[[], Awaitable[int]],
    ) -> None:
        self.page = page
        self.size = size
        self.rows: Sequence[Any] | None = None
        self.count: int | None = None
        self._read_rows = read_rows
        self._read_count = read_count

    @cached_property
    def rows_once(self) -> Callable[[], Awaitable[Any]]:
        return once(self._read_rows)

    @cached_property
    def count_once(self) -> Callable[[], Awaitable[int]]:
        return once(self._read_count)


def page_type(name: str) -> PlannedType:
    """The resolvers of a `…Response` type; their parent is a `Page`."""
    response = PlannedType(name)
    response.set_plan("items", _of_rows(lambda _page, rows: rows))
    response.set_plan("start", _of_rows(lambda page, rows: (page.page - 1) * page.size + 1 if rows else 0))
    response.set_plan("end", _of_rows(lambda page, rows: (page.page - 1) * page.size + len(rows) if rows else 0))
    response.set_plan("itemsFound", _of_count(lambda _page, count: count))
    response.set_plan("pages", _of_count(lambda page, count: -(-count // page.size)))
    response.set_plan("page", _of_page(lambda page: page.page))
    response.set_plan("offset", _of_page(lambda page: page.size))
    return response


def _of_rows(use: Callable[[Page, Sequence[Any]], Any]) -> FieldPlan:
    return _of(attrgetter("rows"), attrgetter("rows_once"), use)


def _of_count(use: Callable[[Page, int], Any]) -> FieldPlan:
    return _of(attrgetter("count"), attrgetter("count_once"), use)


def _of(known: Callable[[Page], Any], read: Callable[[Page], Any], use: Callable[[Page, Any], Any]) -> FieldPlan:
    """A resolver of what a page may know already; `read` gives what reads it otherwise."""

    def resolve(page: Page, _info: Info) -> Any:
        value = known(page)
        return later(page) if value is None else use(page, value)

    async def later(page: Page) -> Any:
        return use(page, await read(page)())

    def available(pages: Sequence[Page], *_: Any) -> list[Any] | None:
        values = list(map(known, pages))
        return None if None in values else list(map(use, pages, values))

    return picked(resolve, available)


def _of_page(use: Callable[[Page], Any]) -> FieldPlan:
    return picked(lambda page, _info: use(page), lambda pages, *_: list(map(use, pages)))


async def search(info: Info, file: File, arguments: Mapping[str, Any] | None, **convert: Convert) -> Page:
    """The page of `file`'s rows that `arguments`, an input of the SDL, asks for.

    Each given field of the input is a filter of the file of the same name in snake case; `convert` holds conversions
    for filters whose values are not yet what PostgreSQL takes, into a value or a dict of several parameters. Raises
    `ValidationError`.
    """
    arguments = arguments or {}
    number, size = page_of(arguments, info.context.largest_page)
    filters, values = filters_of(file, arguments, convert)
    found = _Search(info.context, file, filters, order_of(arguments), values, (number - 1) * size, size)
    page = Page(number, size, found.rows, found.count)
    selection = lookahead(info, "items")
    if selection is not None and selects(info, "items", "start", "end"):
        page.rows, page.count = await found.read(selection, selects(info, "itemsFound", "pages"))
    return page


@dataclass(slots=True)
class _Search:
    """What a page is read by: `size` rows behind the first `skip` that the filters find, in an order."""

    context: Context
    file: File
    filters: frozenset[str]
    order: tuple[str, ...]
    values: dict[str, Any]
    skip: int
    size: int

    async def rows(self) -> Sequence[Any]:
        return (await self.read(None))[0]

    async def count(self) -> int:
        [row] = await self.context.fetch(self.file.count, filters=self.filters, **self.values)
        items_found: int = row["items_found"]
        return items_found

    async def read(self, selection: RowSelection | None, counted: bool = False) -> tuple[Sequence[Any], int | None]:
        """The rows, and how many there are if that is wanted or had to be found out."""
        if self.skip >= _DEEP and self._is_counted:
            found = await self.count()
            if self.skip > found // 2:
                return await self._read_from_the_end(selection, found), found
        return await self._fetch(selection, self.order, self.skip, self.size, self.file.count if counted else None)

    @property
    def _is_counted(self) -> bool:
        """Whether the count costs less than the rows before the page, and these are not passed over anyway."""
        reach = self.context.viewer.visibility.reach
        passes_over = self.file.page.variant(reach, self.filters, self.order, self.skip).skip > 0
        return not passes_over and self.file.count.looks_at_few(reach, self.filters)

    async def _read_from_the_end(self, selection: RowSelection | None, found: int) -> Sequence[Any]:
        size = min(self.size, found - self.skip)
        if size <= 0:
            return []
        rows, _ = await self._fetch(selection, backwards(self.order), found - self.skip - size, size)
        return rows[::-1]

    async def _fetch(
        self,
        selection: RowSelection | None,
        order: tuple[str, ...],
        skip: int,
        size: int,
        count: Statement | None = None,
    ) -> tuple[Sequence[Any], int | None]:
        return await self.context.fetch_joined(
            self.file.page,
            selection,
            filters=self.filters,
            order=order,
            count=count,
            limit=size,
            skip=skip,
            **self.values,
        )


def search_each(
    context: Context,
    file: File,
    rows: Callable[..., Batch],
    count: Callable[..., Batch],
    key: Any,
    arguments: Mapping[str, Any] | None,
    **convert: Convert,
) -> Page:
    """`search` among the rows that hang on `key`, gathered with those of its siblings that ask for the same page.

    `rows` and `count` make a batch of the parameters of a search. Raises `ValidationError`.
    """
    arguments = arguments or {}
    page, size = page_of(arguments, context.largest_page)
    filters, values = filters_of(file, arguments, convert)
    rows_by_key = rows(filters=filters, order=order_of(arguments), limit=size, skip=(page - 1) * size, **values)
    count_by_key = count(filters=filters, **values)

    async def count_of_key() -> int:
        found = await context.load(count_by_key, key)
        return found["items_found"] if found else 0

    return Page(page, size, lambda: context.load(rows_by_key, key), count_of_key)


def cut(context: Context, rows: Sequence[Any], arguments: Mapping[str, Any] | None, name: str = "input") -> Page:
    """The page of rows that are available already. Raises `ValidationError` about the argument `name`."""
    page, size = page_of(arguments or {}, context.largest_page, name)

    async def cut_rows() -> Sequence[Any]:
        return rows[(page - 1) * size : page * size]

    async def count() -> int:
        return len(rows)

    return Page(page, size, cut_rows, count)


def page_of(arguments: Mapping[str, Any], largest: int, name: str = "input") -> tuple[int, int]:
    """The 1-based page and its size. Raises `ValidationError` where they are out of bounds (B-23)."""
    page, size = arguments.get("page"), arguments.get("offset")
    page = DEFAULT_PAGE if page is None else page
    size = DEFAULT_SIZE if size is None else size
    if page < 1:
        raise ValidationError(f"{name}.page", "must be at least 1")
    if not 1 <= size <= largest:
        raise ValidationError(f"{name}.offset", f"must be between 1 and {largest}")
    return page, size


def filters_of(
    file: File, arguments: Mapping[str, Any], convert: Mapping[str, Convert]
) -> tuple[frozenset[str], dict[str, Any]]:
    """The names of `file`'s filters that are given and the values of their parameters. A null is no filter (B-26).

    What is not to hold is a filter of its own, `not_late` of `late`: each has an index that finds it.
    """
    filters: set[str] = set()
    values: dict[str, Any] = {}
    for field, given in arguments.items():
        if field in ("page", "offset", "sortInputs") or given is None:
            continue
        name = snake_case(field)
        if isinstance(given, dict):
            for bound, value in given.items():
                if value is not None:
                    limit = _day_bound if field in _DATES else _bound
                    key, of_key = limit(file, f"{name}.{snake_case(bound)}", value, f"input.{field}.{bound}")
                    filters.add(key)
                    values[key.replace(".", "_")] = of_key
        elif given is False and f"not_{name}" in file.parts.filters:
            filters.add(f"not_{name}")
        else:
            filters.add(name)
            value = convert[name](given) if name in convert else given
            values.update(value if isinstance(value, dict) else {name: value})
    return frozenset(filters), values


def _bound(_file: File, name: str, value: Any, _path: str) -> tuple[str, Any]:
    return name, as_value(value)


def _day_bound(file: File, name: str, text: str, path: str) -> tuple[str, Any]:
    """The filter and its value. A date without time takes in the whole day, which is of each row's channel where the
    rows have one, and of UTC elsewhere (decision 24). Raises `ValidationError`."""
    day = as_day(text)
    if day is None:
        return name, as_instant(text, path)
    if f"{name}_day" in file.parts.filters:
        return f"{name}_day", day
    return name, datetime.combine(day, time.max if name.endswith("less_than") else time.min, UTC)


def order_of(arguments: Mapping[str, Any]) -> tuple[str, ...]:
    """The sorts in the order given, made stable by the id; newest first without any (B-31)."""
    sorts: dict[str, str] = {}
    for entry in arguments.get("sortInputs") or ():
        sorts.setdefault(entry["field"], entry["order"])
    order = [f"{field} {direction}" for field, direction in sorts.items()] or ["CREATED_AT DESC"]
    return (*order, *(() if "ID" in sorts else ("ID ASC",)))


def backwards(order: tuple[str, ...]) -> tuple[str, ...]:
    """The order that gives the same rows, the last one first."""
    turned = {"ASC": "DESC", "DESC": "ASC"}
    return tuple(
        f"{field} {turned[direction]}{NULLS_FIRST}" for field, direction in (term.split(" ") for term in order)
    )
