"""What loaders are declared by: how to gather rows for many keys at once, and what rows hang on."""

from dataclasses import dataclass, field, replace
from typing import Any

from sql import Statement
from sql.visibility import stays_in_order

# The names of columns; None for all that a statement gives.
Projection = frozenset[str] | None


@dataclass(frozen=True)
class Batch:
    """One statement for many keys.

    `parameter` is the statement's parameter that takes the list of keys, `column` the column of a row that holds its
    key. A key's value is the list of its rows in the statement's order if `many`, else its row or None. `values` are
    further parameters, the same for all keys. Equal batches share a loader. `tables` names the tables that the rows are
    made of where these seldom change, so that they may be kept: for all viewers, or, `by_channel`, for those who see
    the same channels.
    """

    statement: Statement
    parameter: str
    column: str
    many: bool = False
    values: dict[str, Any] = field(default_factory=dict)
    tables: tuple[str, ...] = ()
    by_channel: bool = False

    @property
    def filters(self) -> frozenset[str]:
        """The filters of the statement's file, which come with the `values`."""
        filters: frozenset[str] = self.values.get("filters", frozenset())
        return filters

    @property
    def order(self) -> tuple[str, ...]:
        """The sorts of the statement's file, which come with the `values`."""
        order: tuple[str, ...] = self.values.get("order", ())
        return order

    def __hash__(self) -> int:
        """Of the statement alone: `values` may hold lists, and few batches share a statement."""
        return hash(self.statement)


def one(
    statement: Statement,
    *,
    parameter: str,
    column: str,
    tables: tuple[str, ...] = (),
    by_channel: bool = False,
    **values: Any,
) -> Batch:
    """A batch of at most one row a key."""
    return Batch(statement, parameter, column, values=values, tables=tables, by_channel=by_channel)


def many(statement: Statement, **settings: Any) -> Batch:
    """A batch of any number of rows a key; the settings are those of `one`."""
    return replace(one(statement, **settings), many=True)


@dataclass(frozen=True)
class Relation:
    """Rows of `batch` that hang on the rows whose column `key` holds the batch's key. A null key has none."""

    batch: Batch
    key: str

    @property
    def stays_in_order(self) -> bool:
        """Whether its rows belong to the order of the row that they hang on; see `sql.visibility`."""
        return stays_in_order(self.batch.statement.tables, self.key, self.batch.parameter)
