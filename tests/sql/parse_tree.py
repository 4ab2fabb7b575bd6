"""What a statement reads, as PostgreSQL itself parses it: its tables with the conditions on each of them.

The server prints the tree of a statement that it prepares (`debug_print_parse`). It has resolved every name, whatever
the text looks like: comma joins, USING, quoted and qualified names, CTEs called like tables, comments.
"""

import re
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import asyncpg

Node = dict[str, Any]
Stack = tuple[Node, ...]  # the queries around an expression, its own last

_TOKEN = re.compile(r"[{}()\[\]]|(?:\\[\s\S]|[^\s{}()\[\]\\])+")
# Of the catalogue only what is the schema's own, or that of the connection.
_CATALOGUE = (
    "SELECT oid::text, relname::text FROM pg_class WHERE oid >= 16384",
    "SELECT attrelid::text, attnum::text, attname::text FROM pg_attribute WHERE attrelid >= 16384",
    "SELECT oid::text, proname::text FROM pg_proc WHERE oid >= 16384 AND pronargs = 1",
    "SELECT oid::text FROM pg_operator WHERE oprname = '='",
)
_INSERT = "3"
_ANY = "2"
_INNER, _LEFT, _RIGHT = "0", "1", "3"
_RELATION, _SUBQUERY, _JOIN, _CTE, _GROUP = "0", "1", "2", "6", "9"


@dataclass(eq=False)
class Read:
    """One place at which a statement reads, or writes, a table."""

    table: str
    alias: str
    is_inserted: bool


@dataclass(frozen=True)
class Column:
    read: Read
    name: str


@dataclass
class Reads:
    """What a statement reads.

    `calls` are all calls of the schema's functions of one argument, with it where it is a column; `conditions` those of
    them that every row which is read must meet, and `equal` the columns that must be equal, from the side of each.
    """

    reads: list[Read] = field(default_factory=list)
    calls: list[tuple[str, Column | None]] = field(default_factory=list)
    conditions: list[tuple[str, Column]] = field(default_factory=list)
    equal: list[tuple[Column, Column]] = field(default_factory=list)


async def parse_tree(connection: asyncpg.Connection, text: str) -> Node:
    """The tree of a statement, which is not run."""
    printed: list[str] = []

    def listen(_connection: Any, message: Any) -> None:
        if message.message == "parse tree:":
            printed.append(message.detail)

    connection.add_log_listener(listen)
    try:
        await connection.execute("SET client_min_messages = log; SET debug_print_parse = on")
        await connection.execute(f"PREPARE parsed AS {text}")
    finally:
        connection.remove_log_listener(listen)
        await connection.execute("RESET debug_print_parse; RESET client_min_messages")
    await connection.execute("DEALLOCATE parsed")
    # The statement's own comes after that of PREPARE.
    tree = _value(_TOKEN.findall(printed[-1]))
    return tree[0] if isinstance(tree, list) else tree


def _value(tokens: list[str]) -> Any:
    tokens.reverse()
    return _next(tokens)


def _next(tokens: list[str]) -> Any:
    token = tokens.pop()
    if token in ("(", "["):
        entries = []
        while tokens[-1] not in (")", "]"):
            entries.append(_next(tokens))
        tokens.pop()
        return entries
    if token != "{":
        return None if token == "<>" else token
    node: Node = {"node": tokens.pop()}
    while (key := tokens.pop()) != "}":
        values = []
        while tokens[-1] != "}" and not tokens[-1].startswith(":"):
            values.append(_next(tokens))
        node[key.removeprefix(":")] = values[0] if len(values) == 1 else values
    return node


async def reads(connection: asyncpg.Connection, texts: Iterable[str]) -> AsyncIterator[Reads]:
    """What each of the statements reads, and under which conditions."""
    tables, columns, functions, equals = [await connection.fetch(query) for query in _CATALOGUE]
    for text in texts:
        reader = _Reader(
            dict(tables),
            {(table, number): name for table, number, name in columns},
            dict(functions),
            {operator for (operator,) in equals},
        )
        yield reader.read(await parse_tree(connection, text))


class _Reader:
    def __init__(
        self,
        tables: Mapping[str, str],
        columns: Mapping[tuple[str, str], str],
        functions: Mapping[str, str],
        equals: set[str],
    ) -> None:
        self._tables = tables
        self._columns = columns
        self._functions = functions
        self._equals = equals
        self._found = Reads()
        self._reads: dict[int, Read] = {}  # by the id of the node that names the table

    def read(self, tree: Node) -> Reads:
        stacks = list(_queries(tree, ()))
        for stack in stacks:
            self._note_tables(stack[-1])
        for stack in stacks:
            for expression in _expressions(stack[-1]):
                if expression["node"] == "FUNCEXPR" and expression["funcid"] in self._functions:
                    self._found.calls.append((self._called(expression), self._column(expression["args"][0], stack)))
            self._note_conditions(stack[-1]["jointree"], stack)
        return self._found

    def _note_tables(self, query: Node) -> None:
        for place, entry in enumerate(query["rtable"] or (), 1):
            if entry["rtekind"] == _RELATION:
                names = entry["eref"]
                is_inserted = query["commandType"] == _INSERT and query["resultRelation"] == str(place)
                read = Read(self._tables[entry["relid"]], names["aliasname"], is_inserted)
                self._reads[id(entry)] = read
                self._found.reads.append(read)

    def _note_conditions(self, joined: Node | None, stack: Stack) -> None:
        """Those of FROM and WHERE; of an outer join, what it demands of the side that may be missing."""
        if joined is None or joined["node"] == "RANGETBLREF":
            return
        if joined["node"] == "FROMEXPR":
            below = joined["fromlist"] or []
            demanded = below
        else:
            below = [joined["larg"], joined["rarg"]]
            demanded = {_INNER: below, _LEFT: below[1:], _RIGHT: below[:1]}.get(joined["jointype"], [])
        for each in below:
            self._note_conditions(each, stack)
        places = {place for each in demanded for place in _places(each)}
        for term in _terms(joined["quals"]):
            self._note_condition(term, stack, places)

    def _note_condition(self, term: Node, stack: Stack, places: set[str]) -> None:
        if term["node"] == "FUNCEXPR" and term["funcid"] in self._functions:
            column = self._column(term["args"][0], stack)
            if column is not None and _is_of(term["args"][0], places):
                self._found.conditions.append((self._called(term), column))
        elif term["node"] == "OPEXPR" and term["opno"] in self._equals:
            left, right = (self._column(each, stack) for each in term["args"])
            if left is not None and right is not None:
                for one, other, own in ((left, right, term["args"][0]), (right, left, term["args"][1])):
                    if _is_of(own, places):
                        self._found.equal.append((one, other))
        elif term["node"] == "SUBLINK" and term["subLinkType"] == _ANY:
            self._note_membership(term, stack, places)

    def _note_membership(self, sublink: Node, stack: Stack, places: set[str]) -> None:
        """What `IN (SELECT …)` demands: the columns of some row of the query equal those of this one."""
        for term in _terms(sublink["testexpr"]):
            if term["node"] == "OPEXPR" and term["opno"] in self._equals and term["args"][1]["node"] == "PARAM":
                own, given = term["args"]
                column = self._column(own, stack)
                other = self._given(sublink["subselect"], int(given["paramid"]) - 1, stack)
                if column is not None and other is not None and _is_of(own, places):
                    self._found.equal.append((column, other))

    def _called(self, call: Node) -> str:
        return self._functions[call["funcid"]]

    def _column(self, expression: Any, stack: Stack) -> Column | None:
        """The column of a table that the expression is, looked up through subqueries and CTEs."""
        if not isinstance(expression, dict) or expression["node"] != "VAR" or expression["varattno"] == "0":
            return None  # 0 is a whole row
        stack = stack[: len(stack) - int(expression["varlevelsup"])]
        entry = stack[-1]["rtable"][int(expression["varno"]) - 1]
        place = int(expression["varattno"]) - 1
        if entry["rtekind"] == _RELATION:
            return Column(self._reads[id(entry)], self._columns[entry["relid"], expression["varattno"]])
        if entry["rtekind"] == _JOIN:
            return self._column(entry["joinaliasvars"][place], stack)
        if entry["rtekind"] == _GROUP:
            return self._column(entry["groupexprs"][place], stack)
        if entry["rtekind"] == _SUBQUERY:
            return self._given(entry["subquery"], place, stack)
        if entry["rtekind"] == _CTE:
            stack = stack[: len(stack) - int(entry["ctelevelsup"])]
            (named,) = (cte for cte in stack[-1]["cteList"] if cte["ctename"] == entry["ctename"])
            return self._given(named["ctequery"], place, stack)
        return None

    def _given(self, query: Node, place: int, stack: Stack) -> Column | None:
        """The column that a query gives at a place; of a UNION, the one of its first part."""
        given = query["targetList"] if query["commandType"] == "1" else query["returningList"]
        return self._column(given[place]["expr"], (*stack, query))


def _queries(value: Any, stack: Stack) -> Iterator[Stack]:
    """Each query of the tree, with those around it."""
    if isinstance(value, dict):
        if value["node"] == "QUERY":
            stack = (*stack, value)
            yield stack
        for each in value.values():
            yield from _queries(each, stack)
    elif isinstance(value, list):
        for each in value:
            yield from _queries(each, stack)


def _expressions(value: Any, *, is_query: bool = True) -> Iterator[Node]:
    """All nodes of a query but those of the queries within it."""
    if isinstance(value, list):
        for each in value:
            yield from _expressions(each, is_query=False)
    elif isinstance(value, dict) and (is_query or value["node"] != "QUERY"):
        yield value
        for each in value.values():
            yield from _expressions(each, is_query=False)


def _terms(condition: Node | None) -> Iterator[Node]:
    """What must hold, each for itself."""
    if condition is not None and condition["node"] == "BOOLEXPR" and condition["boolop"] == "and":
        for each in condition["args"]:
            yield from _terms(each)
    elif condition is not None:
        yield condition


def _places(joined: Node) -> Iterator[str]:
    if joined["node"] == "RANGETBLREF":
        yield joined["rtindex"]
    else:
        yield from _places(joined["larg"])
        yield from _places(joined["rarg"])


def _is_of(variable: Node, places: set[str]) -> bool:
    return bool(variable["varlevelsup"] == "0" and variable["varno"] in places)
