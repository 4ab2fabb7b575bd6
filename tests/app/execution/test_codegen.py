"""Written functions give what the resolvers give, and leave to these whatever is not plainly right."""

import gc
import linecache
import traceback
import weakref
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from unittest.mock import Mock

import pytest
from graphql import GraphQLSchema, build_schema

from app.execution.field_plan import (
    ComputedPlan,
    FieldPlan,
    Related,
    RelationPlan,
    SameRowPlan,
    column_plan,
    declare,
    everybody,
    plan_of,
)
from app.execution.plan import Execution, Selection
from app.execution.planner import Planner
from loaders.result import Column, Join
from loaders.rows import Joined
from tests.app.execution.conftest import operation_of, run_plain, run_planned

SDL = """
enum Genre { CRIME POETRY }
type Query { shelves: [Shelf!]! shelf: Shelf last: Shelf }
type Shelf { id: ID! label: String width: Float! books: [Book!]! lent: [Book] place: Place! self: Shelf }
type Place { label: String room: Int! }
type Book { id: Int! title: String! genre: Genre isOld: Boolean! author: Author! editor: Author owner: Owner
  kind: String! spine: String! byline: String edited: Int! ownerName: String }
type Author { id: Int! name: String! books(first: Int): [Book] }
type Owner { name: String! }
"""
Row = dict[str, Any]
Table = list[Row]

SHELVES: Table = [
    {"id": "a", "label": "top", "width": 80.5, "room": 1},
    {"id": "b", "label": None, "width": 60.0, "room": 2},
    {"id": "c", "label": "low", "width": 60.0, "room": 2},
]
BOOKS: Table = [
    {"id": 1, "shelf": "a", "title": "x", "genre": "CRIME", "is_old": True, "author": 7, "editor": 8, "owner": 1},
    {"id": 2, "shelf": "b", "title": "y", "genre": None, "is_old": False, "author": 7, "editor": None, "owner": 1},
    {"id": 3, "shelf": "a", "title": "z", "genre": "POETRY", "is_old": True, "author": 8, "editor": 9, "owner": None},
]
AUTHORS: Table = [{"id": 7, "name": "Ada"}, {"id": 8, "name": "Bo"}]
OWNERS = {1: {"name": "Cy"}, 2: {"name": "Di"}}
TYPES: Mapping[str, type] = {
    "label": str,
    "title": str,
    "name": str,
    "genre": str,
    "room": int,
    "is_old": bool,
    "width": float,
}


@dataclass(frozen=True, eq=False)
class RowShape:
    parts: Sequence[Mapping[str, Column]]
    branches: Mapping[tuple[int, str], Join]

    def join(self, parent: int, relation: str) -> Join | None:
        return self.branches.get((parent, relation))


@dataclass(frozen=True)
class ResultSet(Joined):
    shape: RowShape
    row: Sequence[Any]
    rows: Table
    place: int = 0

    @property
    def result(self) -> "ResultSet":
        return self

    def made(self, make: Any, run: Any) -> Any:
        return make(self.row, run)

    def __iter__(self) -> Any:
        return iter(self.rows)

    def __getitem__(self, key: Any) -> Any:
        return self.rows[self.place][key]


BRANCHES = {
    (0, "books"): Join(1, "shelf", "id", many=True),
    (0, "lent"): Join(2, "shelf", "id", many=True),
    (1, "author"): Join(3, "id", "author", many=False),
    (1, "editor"): Join(4, "id", "editor", many=False),
}


class Library:
    """Rows that hang on one another, and came together. `calls` counts the resolvers that were asked for rows."""

    def __init__(self, sdl: str = SDL) -> None:
        self.tables = [[dict(row) for row in table] for table in (SHELVES, BOOKS, BOOKS[:1], AUTHORS, AUTHORS)]
        self.is_open = self.keeps = True
        self.calls: Counter[str] = Counter()
        self.branches = dict(BRANCHES)
        self.missing: set[str] = set()
        self.schema: GraphQLSchema = build_schema(sdl)
        for type_ in ("Shelf", "Place", "Book", "Author", "Owner"):
            for name, field in self._fields(type_).items():
                declare(field, column_plan("is_old" if name == "isOld" else name))
        for (parent, name), hanging in BRANCHES.items():
            declare(self._fields("Book" if parent else "Shelf")[name], self._relation(name, hanging))
        declare(self._fields("Author")["books"], self._relation("books", Join(1, "author", "id", many=True)))
        for name in ("place", "self"):
            declare(self._fields("Shelf")[name], SAME)
        declare(self._fields("Book")["owner"], self._owner())
        for name, plan in self._computed():
            declare(self._fields("Book")[name], plan)
        self._fields("Query")["shelves"].resolve = lambda *_: self.result()
        self._fields("Query")["shelf"].resolve = lambda *_: self.result(1)
        self._fields("Query")["last"].resolve = lambda *_: replace(self.result(), place=len(self.tables[0]) - 1)

    def _fields(self, type_: str) -> Any:
        return self.schema.type_map[type_].fields

    def result(self, length: int | None = None) -> ResultSet:
        """The first shelves with what hangs on them."""
        shelves = self.tables[0][:length]
        ids = [shelf["id"] for shelf in shelves]
        books, lent = ([book for book in table if book["shelf"] in ids] for table in self.tables[1:3])
        tables = [shelves, books, lent, *self.tables[3:]]
        parts, row = [], []
        columns = (SHELVES[0], BOOKS[0], BOOKS[0], AUTHORS[0], AUTHORS[0])
        for names, table in zip(columns, tables, strict=True):
            part = {}
            for name in names.keys() - self.missing:
                part[name] = Column(len(row), TYPES.get(name, object))
                row.append([each[name] for each in table] or None)
            parts.append(part)
        return ResultSet(self.shape(parts), row, tables[0])

    def shape(self, parts: Sequence[Mapping[str, Column]]) -> RowShape:
        return RowShape(parts, self.branches)

    def _relation(self, name: str, hanging: Join) -> RelationPlan:
        def resolve(row: Any, _info: Any, **_arguments: Any) -> Any:
            self.calls[name] += 1
            if not self.is_open:
                raise PermissionError
            key = row[hanging.parent_column]
            found = [each for each in self.tables[hanging.part] if each[hanging.column] == key]
            return found if hanging.many else next(iter(found), None)

        return RelationPlan(
            resolve=resolve,
            available=lambda *_: None,
            is_open=lambda _context: self.is_open,
            related=Related(name, hanging.parent_column),
        )

    def _owner(self) -> RelationPlan:
        def resolve(row: Any, _info: Any) -> Any:
            self.calls["owner"] += 1
            return OWNERS.get(row["owner"])

        return RelationPlan(
            resolve=resolve,
            available=lambda rows, *_: [OWNERS.get(row["owner"]) for row in rows],
            is_open=everybody,
            related=Related("owner", "owner", lambda _context: OWNERS.get if self.keeps else None),
        )

    def _computed(self) -> Iterator[tuple[str, ComputedPlan]]:
        owner = Related("owner", "owner", lambda _context: OWNERS.get if self.keeps else None)
        yield "kind", self._computed_of((), lambda: "BOOK")
        yield "spine", self._computed_of(("title", "genre"), lambda title, genre: f"{title.upper()} {genre}")
        yield "byline", self._computed_of(("title",), lambda *words: " ".join(words), Related("author", "author"))
        # An Int that is too big for one editor, and an error for the books that have none.
        yield "edited", self._computed_of((), lambda name: len(name) ** 40, Related("editor", "editor"))
        yield "ownerName", self._computed_of(("id",), lambda key, name: name and f"{key}{name}", owner)

    def _computed_of(
        self, columns: tuple[str, ...], function: Callable[..., Any], related: Related | None = None
    ) -> ComputedPlan:
        def resolve(row: Any, _info: Any) -> Any:
            self.calls["computed"] += 1
            own = [row[name] for name in columns]
            if related is None:
                return function(*own)
            key = row[related.key]
            found = OWNERS.get(key) if related.cached else self._author(related.key, key)
            return function(*own, None if found is None else found["name"])

        read = ("name",) if related else ()
        return ComputedPlan(
            resolve=resolve,
            available=lambda *_: None,
            is_open=everybody,
            columns=columns,
            function=function,
            related=related,
            related_columns=read,
        )

    def _author(self, role: str, key: Any) -> Row | None:
        table = self.tables[BRANCHES[1, role].part]
        return next((row for row in table if row["id"] == key), None)


def same(row: Any, *_: Any) -> Any:
    return row


SAME = SameRowPlan(resolve=same, available=same)

TEXTS = [
    "{ shelves { id label width books { id title } } }",
    "{ shelves { books { genre isOld author { id name } editor { name } } lent { title } } }",
    "{ shelves { place { label room __typename } books { __typename } a: books { id } b: books { title } } }",
    "{ shelves { books { owner { name } author { __typename } } } }",
    "{ shelf { label books { editor { id } owner { name } } self { self { width } } } }",
    "{ shelves { books { owner { __typename name } } } }",
    "{ last { id books { title } place { room } } }",
    "{ shelves { books { kind spine byline ownerName id author { id } } lent { kind } } }",
    "{ shelf { books { ownerName again: ownerName } } last { books { kind } } }",
]


@pytest.fixture
def library() -> Library:
    return Library()


@pytest.mark.parametrize("text", TEXTS)
async def test_the_answer_is_that_of_the_resolvers_and_none_is_asked(library: Library, text: str) -> None:
    answer, by = await run_planned(library.schema, text)
    assert not library.calls
    assert (answer, by) == (await run_plain(library.schema, text), "generated")
    assert library.calls
    assert "errors" not in answer


@pytest.mark.parametrize("table", range(5))
@pytest.mark.parametrize("text", TEXTS)
async def test_there_may_be_no_rows(library: Library, text: str, table: int) -> None:
    library.tables[table] = [] if table else library.tables[0][1:2]
    answer, _by = await run_planned(library.schema, text)
    assert answer == await run_plain(library.schema, text)


@pytest.mark.parametrize(
    ("table", "row", "column", "value"),
    [
        (0, 0, "id", None),
        (0, 1, "width", None),
        (0, 1, "width", float("nan")),
        (0, 0, "room", None),
        (1, 0, "title", None),
        (1, 1, "genre", "PROSE"),
        (1, 2, "is_old", None),
        (1, 2, "author", 99),
        (1, 2, "author", None),
        (1, 1, "owner", 99),
        (3, 1, "name", None),
        (4, 0, "name", None),
    ],
)
@pytest.mark.parametrize("text", TEXTS)
async def test_what_goes_wrong_is_told_as_graphql_core_tells_it(
    library: Library, text: str, table: int, row: int, column: str, value: Any
) -> None:
    library.tables[table][row][column] = value
    answer, _by = await run_planned(library.schema, text)
    assert answer == await run_plain(library.schema, text)


@pytest.mark.parametrize("gap", ["books", "editor"])
async def test_what_did_not_come_along_is_asked_for(library: Library, gap: str) -> None:
    text = "{ shelves { books { editor { name } } } }"
    library.branches = {key: hanging for key, hanging in BRANCHES.items() if key[1] != gap}
    answer, by = await run_planned(library.schema, text)
    assert library.calls[gap]
    assert (answer, by) == (await run_plain(library.schema, text), "layered")


async def test_a_column_that_did_not_come_along_is_read_by_its_resolver(library: Library) -> None:
    library.missing = {"title"}
    text = "{ shelves { books { title } } }"
    answer, by = await run_planned(library.schema, text)
    assert library.calls["books"]
    assert (answer, by) == (await run_plain(library.schema, text), "layered")


async def test_what_is_kept_is_made_anew_when_it_changes(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "{ shelves { books { owner { name } } } }"
    document, operation = operation_of(library.schema, text)
    planner = Planner(library.schema, document, operation)
    for name in ("Cy", "Cy", "Eve"):
        monkeypatch.setitem(OWNERS, 1, {"name": name})
        answer, _by = await run_planned(library.schema, text, planner=planner)
        assert answer == await run_plain(library.schema, text)
        assert answer["data"]["shelves"][0]["books"][0]["owner"] == {"name": name}


async def test_what_is_not_kept_is_asked_for(library: Library) -> None:
    library.keeps = False
    text = "{ shelves { books { owner { name } } } }"
    answer, by = await run_planned(library.schema, text)
    assert library.calls["books"]
    assert (answer, by) == (await run_plain(library.schema, text), "layered")


async def test_what_cannot_be_computed_or_completed_is_told_as_graphql_core_tells_it(library: Library) -> None:
    text = "{ shelves { books { id edited } } }"
    answer, by = await run_planned(library.schema, text)
    assert (answer, by) == (await run_plain(library.schema, text), "replay")
    assert {error["path"][-1] for error in answer["errors"]} == {"edited"}


async def test_what_may_be_had_by_nobody_said_so_is_left_to_the_resolver(library: Library) -> None:
    text = "{ shelf { books { spine } } }"
    field = library.schema.type_map["Book"].fields["spine"]
    declare(field, replace(plan_of(field), is_open=FieldPlan.is_open))
    answer, by = await run_planned(library.schema, text)
    assert library.calls["computed"]
    assert (answer, by) == (await run_plain(library.schema, text), "layered")


async def test_a_plan_is_of_no_account_once_the_resolver_is_another(library: Library) -> None:
    text = "{ shelf { books { spine } } }"
    library.schema.type_map["Book"].fields["spine"].resolve = lambda *_: "another"
    answer, by = await run_planned(library.schema, text)
    assert (answer["data"]["shelf"]["books"][0], by) == ({"spine": "another"}, "layered")


async def test_rows_that_came_for_one_are_not_taken_for_a_list(library: Library) -> None:
    text = "{ shelves { lent { id } } }"
    library.branches[0, "lent"] = replace(BRANCHES[0, "lent"], many=False)
    answer, _by = await run_planned(library.schema, text)
    assert library.calls["lent"]
    assert answer == await run_plain(library.schema, text)


async def test_rows_that_the_caller_may_not_have_are_refused_by_their_resolver(library: Library) -> None:
    library.is_open = False
    text = "{ shelf { id books { id } } }"
    answer, _by = await run_planned(library.schema, text)
    assert library.calls["books"]
    assert answer == await run_plain(library.schema, text)
    assert answer["data"] == {"shelf": None}


async def test_generated_code_is_shown_by_tracebacks(library: Library) -> None:
    text = "{ shelves { books { spine } } }"
    library.tables[1][0]["title"] = 7
    document, operation = operation_of(library.schema, text)
    planner = Planner(library.schema, document, operation)
    answer, by = await run_planned(library.schema, text, planner=planner)
    assert (answer, by) == (await run_plain(library.schema, text), "replay")
    [field] = root_of(planner).fields
    assert field.generate is not None
    generated = field.generate(library.result().shape)
    assert generated.make is not None
    assert linecache.getlines(generated.file)
    with pytest.raises(AttributeError) as failed:
        generated.make(library.result().row, Mock(Execution))
    shown = "".join(traceback.format_exception(failed.value))
    assert f'File "{generated.file}"' in shown
    assert generated.file.startswith("<waybill Query.shelves ")
    assert "for v" in shown


@pytest.mark.parametrize("text", TEXTS)
async def test_generated_code_goes_with_its_plan_and_waits_for_no_collector(library: Library, text: str) -> None:
    document, operation = operation_of(library.schema, text)
    planner = Planner(library.schema, document, operation)
    await run_planned(library.schema, text, planner=planner)
    plan = weakref.ref(root_of(planner).fields[0])
    generate = root_of(planner).fields[0].generate
    assert generate is not None
    file = generate(library.result().shape).file
    gc.disable()
    try:
        del generate
        planner._plans.clear()
        assert plan() is None
        assert not linecache.getlines(file)
    finally:
        gc.enable()


def root_of(planner: Planner) -> Selection:
    planned = planner.plan({})
    assert planned is not None
    return planned[0].root


async def test_arguments_are_for_resolvers(library: Library) -> None:
    text = "{ shelves { books { author { books(first: 1) { id } } } } }"
    answer, by = await run_planned(library.schema, text)
    assert library.calls["books"]
    assert (answer, by) == (await run_plain(library.schema, text), "layered")
