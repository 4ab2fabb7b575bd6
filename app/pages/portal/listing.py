"""A list as its address says it: filters, sorting, page and columns. Whoever has the address has the same list."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from app.errors import RequestRefused, ValidationError
from app.pages.language import PARAMETER
from app.pages.visit import Visit
from app.rest.query_filters import QueryFilters

ROWS = (25, 50, 100)
_PAGE, _ROWS, _SORT, _COLUMNS = "page", "rows", "sort", "columns"
_OWN = frozenset({_PAGE, _ROWS, _SORT, _COLUMNS, PARAMETER})
_DIRECTIONS = {"": "ASC", "-": "DESC"}
# Further steps only tell apart what hardly ever is the same before.
_MOST_SORTS = 3


@dataclass(frozen=True)
class Fault:
    """What is wrong with a filter, in the words of the schema."""

    name: str
    rule: str


class Listing:
    """`filters` are those of the list's input type, by which its export is filtered too; `sorts` are the fields it is
    sorted by, `columns` the names of all its columns.

    Where a filter is not good, `fault` says so, and there is nothing to ask for. Raises `RequestRefused` for a page, a
    sorting or a column that there is not.
    """

    def __init__(self, visit: Visit, filters: QueryFilters, sorts: Sequence[str], columns: Mapping[str, str]) -> None:
        # A form sends its empty fields too.
        pairs = [(name, text.strip()) for name, text in visit.query.multi_items() if text.strip()]
        self._kept = [(name, text) for name, text in pairs if name in (_ROWS, _SORT, _COLUMNS, PARAMETER)]
        self.filtered = [(name, text) for name, text in pairs if name not in _OWN]
        self.page = _whole(visit.query.get(_PAGE, "1"))
        self.rows = _whole(visit.query.get(_ROWS, str(ROWS[0])))
        if self.rows not in ROWS:
            raise RequestRefused(f"A page has {', '.join(map(str, ROWS))} rows.")
        self.sorts = [_sort(text, sorts) for name, text in pairs if name == _SORT][:_MOST_SORTS]
        self.all_columns = columns
        self.columns = [text for name, text in pairs if name == _COLUMNS] or list(columns)
        if not set(self.columns) <= columns.keys():
            raise RequestRefused("There is no such column.")
        self.fault: Fault | None = None
        try:
            self._arguments = filters.read(urlencode(self.filtered).encode())
        except ValidationError as error:
            self.fault = Fault(error.extensions["path"], error.extensions["rule"])

    @property
    def input(self) -> dict[str, Any]:
        """The argument `input` of the list."""
        steps = [{"field": field, "order": direction} for field, direction in self.sorts]
        return {**self._arguments, "page": self.page, "offset": self.rows, **({"sortInputs": steps} if steps else {})}

    def value(self, name: str) -> str:
        """What a filter's field holds."""
        return next((text for each, text in self.filtered if each == name), "")

    def values(self, name: str) -> list[str]:
        return [text for each, text in self.filtered if each == name]

    def at_page(self, page: int) -> str:
        return self._address([*self.filtered, *self._kept, (_PAGE, str(page))])

    def sorted_by(self, field: str) -> str:
        """The same list by one field first, and by what came first before after it; where it came first, backwards."""
        first = self.sorts[0] if self.sorts else None
        sign = "-" if first == (field, "ASC") else ""
        others = [(each, direction) for each, direction in self.sorts if each != field][: _MOST_SORTS - 1]
        signed = [sign + field, *(("-" if direction == "DESC" else "") + each for each, direction in others)]
        kept = [pair for pair in self._kept if pair[0] != _SORT]
        return self._address([*self.filtered, *kept, *((_SORT, text) for text in signed)])

    def direction(self, field: str) -> str | None:
        """How the column of a field is sorted, in the words of ARIA; None where it is not what comes first."""
        if not self.sorts or self.sorts[0][0] != field:
            return None
        return "ascending" if self.sorts[0][1] == "ASC" else "descending"

    def without(self, name: str, value: str) -> str:
        """The same list with one filter less."""
        return self._address([*(pair for pair in self.filtered if pair != (name, value)), *self._kept])

    def hidden(self) -> list[tuple[str, str]]:
        """What a form of filters sends along, so that sorting and language stay."""
        return [pair for pair in self._kept if pair[0] in (_SORT, PARAMETER)]

    @property
    def export(self) -> str:
        """The filters alone, as an export takes them."""
        return self._address(self.filtered)

    def _address(self, pairs: Sequence[tuple[str, str]]) -> str:
        return f"?{urlencode(pairs)}"


def _whole(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or not 1 <= int(text[:10]) <= 10**9 or len(text) > 10:
        raise RequestRefused("A page and its rows are whole numbers.")
    return int(text)


def _sort(text: str, sorts: Sequence[str]) -> tuple[str, str]:
    field = text.removeprefix("-")
    if field not in sorts:
        raise RequestRefused("The list is not sorted by that.")
    return field, _DIRECTIONS[text[: len(text) - len(field)]]
