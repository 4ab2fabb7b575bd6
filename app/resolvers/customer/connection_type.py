"""The fields of every connection: its edges, its count and its `PageInfo`."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from itertools import chain
from typing import Any

from app.context import Info
from app.execution.field_plan import FieldPlan, everybody
from app.resolvers.customer.listing import Connection, Listing
from app.resolvers.field_plan import SAME_ROW, PlannedType, picked
from loaders.rows import Lists, Row, Rows, column_of, end_to_end

Edge = tuple[Listing, Row]


class Edges(Rows):
    """The rows of pages, end to end, each as an `Edge`."""

    __slots__ = ("_pages", "nodes")

    def __init__(self, pages: Sequence[Connection], nodes: Rows) -> None:
        super().__init__({}, len(nodes))
        self._pages = pages
        self.nodes = nodes

    def cursors(self) -> list[str]:
        return list(map(Listing.cursor, self._listings(), self.nodes.column("key")))

    def _listings(self) -> Iterator[Listing]:
        return chain.from_iterable([page.listing] * len(page.rows or ()) for page in self._pages)

    def _made(self) -> list[Edge]:
        if self._rows is None:
            self._rows = list(zip(self._listings(), self.nodes, strict=True))
        return self._rows


def connection_types(name: str) -> tuple[PlannedType, PlannedType]:
    """The resolvers of `<name>Connection`, whose parent is a `Connection`, and of `<name>Edge`."""
    connection, edge = PlannedType(f"{name}Connection"), PlannedType(f"{name}Edge")
    connection.set_plan("edges", picked(_resolve_edges, _available_edges))
    connection.set_plan("pageInfo", SAME_ROW)
    connection.set_plan("totalCount", picked(_resolve_total, _available_totals))
    edge.set_plan("node", _of_edges(lambda edge: edge[1], lambda edges: edges.nodes))
    edge.set_plan("cursor", _of_edges(lambda edge: edge[0].cursor(edge[1]["key"]), Edges.cursors))
    return connection, edge


def _resolve_edges(page: Connection, _info: Info) -> list[Edge] | Awaitable[list[Edge]]:
    async def later() -> list[Edge]:
        return [(page.listing, row) for row in await page.rows_once()]

    return later() if page.rows is None else [(page.listing, row) for row in page.rows]


def _available_edges(pages: Sequence[Connection], *_: Any) -> Any:
    if any(page.rows is None for page in pages):
        return None
    nodes = end_to_end([page.rows for page in pages if page.rows])
    if nodes is None:
        return [[(page.listing, row) for row in page.rows or ()] for page in pages]
    return Lists(Edges(pages, nodes), [len(page.rows or ()) for page in pages])


def _resolve_total(page: Connection, _info: Info) -> int | Awaitable[int]:
    return page.total_once() if page.total is None else page.total


def _available_totals(pages: Sequence[Connection], *_: Any) -> list[int | None] | None:
    totals = [page.total for page in pages]
    return None if None in totals else totals


def _of_edges(pick: Callable[[Edge], Any], pick_all: Callable[[Edges], Sequence[Any]]) -> FieldPlan:
    def every(edges: Sequence[Edge], *_: Any) -> Sequence[Any]:
        return pick_all(edges) if isinstance(edges, Edges) else list(map(pick, edges))

    return FieldPlan(resolve=lambda edge, _info: pick(edge), bulk=every, available=every, is_open=everybody)


def _more(*, forwards: bool) -> FieldPlan:
    def resolve(page: Connection, _info: Info) -> bool | Awaitable[bool]:
        known = page.more_known(forwards=forwards)
        return page.has_more(forwards=forwards) if known is None else known

    def available(pages: Sequence[Connection], *_: Any) -> list[bool | None] | None:
        known = [page.more_known(forwards=forwards) for page in pages]
        return None if None in known else known

    return picked(resolve, available)


def _cursor_at(place: int) -> FieldPlan:
    def cursor(page: Connection) -> str | None:
        return page.listing.cursor(column_of(page.rows, "key")[place]) if page.rows else None

    async def later(page: Connection) -> str | None:
        await page.rows_once()
        return cursor(page)

    def resolve(page: Connection, _info: Info) -> str | Awaitable[str | None] | None:
        return later(page) if page.rows is None else cursor(page)

    def available(pages: Sequence[Connection], *_: Any) -> list[str | None] | None:
        return None if any(page.rows is None for page in pages) else list(map(cursor, pages))

    return picked(resolve, available)


page_info = PlannedType("PageInfo")
page_info.set_plan("hasNextPage", _more(forwards=True))
page_info.set_plan("hasPreviousPage", _more(forwards=False))
page_info.set_plan("startCursor", _cursor_at(0))
page_info.set_plan("endCursor", _cursor_at(-1))

bindables = [page_info]
