"""Offset lists of the B2B surface: one way to filter, sort, page and count for every noun (B-22 to B-31)."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from ariadne import ObjectType

from app.context import Context, Info
from app.errors import ValidationError
from app.resolvers.b2b.argument import as_instant, as_value
from app.resolvers.names import snake_case
from app.resolvers.once import once
from app.resolvers.relation import ahead, selects
from loaders.batch import Batch
from sql import File

DEFAULT_PAGE = 1
DEFAULT_SIZE = 12
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
        self._read_rows = once(read_rows)
        self._read_count = once(read_count)

    def with_rows(self, use: Callable[[Sequence[Any]], Any]) -> Any:
        """What `use` makes of the rows, or an awaitable of it."""
        return _later(use, self._read_rows()) if self.rows is None else use(self.rows)

    def with_count(self, use: Callable[[int], Any]) -> Any:
        return _later(use, self._read_count()) if self.count is None else use(self.count)


async def _later(use: Callable[[Any], Any], value: Awaitable[Any]) -> Any:
    return use(await value)


def page_type(name: str) -> ObjectType:
    """The resolvers of a `…Response` type; their parent is a `Page`."""
    response = ObjectType(name)

    @response.field("items")
    def resolve_items(page: Page, _info: Info) -> Any:
        return page.with_rows(lambda rows: rows)

    @response.field("itemsFound")
    def resolve_items_found(page: Page, _info: Info) -> Any:
        return page.with_count(lambda count: count)

    @response.field("pages")
    def resolve_pages(page: Page, _info: Info) -> Any:
        return page.with_count(lambda count: -(-count // page.size))

    @response.field("page")
    def resolve_page(page: Page, _info: Info) -> int:
        return page.page

    @response.field("offset")
    def resolve_offset(page: Page, _info: Info) -> int:
        return page.size

    @response.field("start")
    def resolve_start(page: Page, _info: Info) -> Any:
        return page.with_rows(lambda rows: (page.page - 1) * page.size + 1 if rows else 0)

    @response.field("end")
    def resolve_end(page: Page, _info: Info) -> Any:
        return page.with_rows(lambda rows: (page.page - 1) * page.size + len(rows) if rows else 0)

    return response


async def search(info: Info, file: File, arguments: Mapping[str, Any] | None, **convert: Convert) -> Page:
    """The page of `file`'s rows that `arguments`, an input of the SDL, asks for.

    Each given field of the input is a filter of the file of the same name in snake case; `convert` holds conversions
    for filters whose values are not yet what PostgreSQL takes, into a value or a dict of several parameters. Raises
    `ValidationError`.
    """
    context = info.context
    arguments = arguments or {}
    number, size = page_of(arguments, context.largest_page)
    filters, values = filters_of(arguments, convert)
    order = order_of(arguments)
    window = {"limit": size, "skip": (number - 1) * size}

    async def rows() -> Sequence[Any]:
        return await context.fetch(file.page, filters=filters, order=order, **window, **values)

    async def count() -> int:
        found = await context.fetch(file.count, filters=filters, **values)
        items_found: int = found[0]["items_found"]
        return items_found

    page = Page(number, size, rows, count)
    tree = ahead(info, "items")
    if tree is not None and selects(info, "items", "start", "end"):
        counted = file.count if selects(info, "itemsFound", "pages") else None
        page.rows, page.count = await context.fetch_tree(
            file.page, tree, filters=filters, order=order, count=counted, **window, **values
        )
    return page


def search_each(
    context: Context,
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
    filters, values = filters_of(arguments, convert)
    rows_by_key = rows(filters=filters, order=order_of(arguments), limit=size, skip=(page - 1) * size, **values)
    count_by_key = count(filters=filters, **values)

    async def count_of_key() -> int:
        found = await context.load(count_by_key, key)
        return found["items_found"] if found else 0

    return Page(page, size, lambda: context.load(rows_by_key, key), count_of_key)


def cut(context: Context, rows: Sequence[Any], arguments: Mapping[str, Any] | None, name: str = "input") -> Page:
    """The page of rows that are at hand already. Raises `ValidationError` about the argument `name`."""
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


def filters_of(arguments: Mapping[str, Any], convert: Mapping[str, Convert]) -> tuple[frozenset[str], dict[str, Any]]:
    """The names of the given filters and the values of their parameters. A null is no filter (B-26)."""
    filters: set[str] = set()
    values: dict[str, Any] = {}
    for field, given in arguments.items():
        if field in ("page", "offset", "sortInputs") or given is None:
            continue
        name = snake_case(field)
        if isinstance(given, dict):
            for bound, value in given.items():
                if value is not None:
                    path = f"input.{field}.{bound}"
                    filters.add(f"{name}.{snake_case(bound)}")
                    values[f"{name}_{snake_case(bound)}"] = (
                        as_instant(value, path) if field in _DATES else as_value(value)
                    )
        else:
            filters.add(name)
            value = convert[name](given) if name in convert else given
            values.update(value if isinstance(value, dict) else {name: value})
    return frozenset(filters), values


def order_of(arguments: Mapping[str, Any]) -> tuple[str, ...]:
    """The sorts in the order given, made stable by the id; newest first without any (B-31)."""
    sorts: dict[str, str] = {}
    for entry in arguments.get("sortInputs") or ():
        sorts.setdefault(entry["field"], entry["order"])
    order = [f"{field} {direction}" for field, direction in sorts.items()] or ["CREATED_AT DESC"]
    return (*order, *(() if "ID" in sorts else ("ID ASC",)))
