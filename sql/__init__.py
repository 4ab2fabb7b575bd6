"""The statements of the service: one .sql file per noun, named parts.

Some files are of a task instead: what mutations (`write`), the import (`ingest`), migrations (`migration`), long reads
(`snapshot`), the choice of a server (`replica`) and probes (`server`) send whatever the noun; `schema.sql` is what the
migrations make, for reading. What opens, probes and ends connections and transactions stands where it is sent, in
`app/postgres`; the demo makes its own tables' rows.

A file holds parts, each begun by a comment line:

    -- name: by_order_ids        a statement; `:order_ids` is a named parameter, with an optional `::cast`
    -- feeds: Shipment           (below a name) the GraphQL types that the rows become; the tests hold them to it
    -- fragment: shipment        text that `{shipment}` puts into the file's statements
    -- filter: statuses          a condition that `{filters}` adds when the caller asks for it
    -- sort: CREATED_AT          an expression that `{order}` puts into ORDER BY
    -- nulls: last               (below a sort) the expression may be null: such rows come last, in both directions
    -- variant: page                another text of the statement above, for what the lines below it say
    -- reaches: CHANNELS         (below a variant) it serves these reaches alone; all without the line
    -- filters: statuses, ids?   (below a variant) it serves these filters alone, and asks for those without `?`;
                                 `any` are all that there are, `created_at.less_than` is `….less_than_day` too
    -- sorts: CREATED_AT         (below a variant) it serves one of these sorts, with ties by the id
    -- each: statuses::text[]    (below a variant) lists whose values are taken one by one (`{lists}`, `{branches}`)
    -- skip: 1000                (below a variant) it serves pages that so many rows come before
    -- without: late             (below a variant) filters that its text minds itself, so that `{filters}` has them not

`{visible shipments s}` is the viewer's predicate on the table `shipments`, called `s` here (see `sql.visibility`). A
statement is text that never holds a value: what varies is chosen among the file's own parts. Of a statement's variants
the first that serves the caller is taken, and the statement itself where none does; all of them give the same rows in
the same order.

An index yields rows in order for one value of each column before the sorted one, not for a list of them. So a variant
may read branch by branch: `{branches}` are the rows of the file's fragment `branch`, or of the one that is named there,
for all combinations of the `each` lists that viewer and filters compare with. Where an index has the nulls at the other
end than the list, each branch is two: the rows that have a value, and those that have none. `{lists}` makes these lists
columns of a row `given`, where they tell the planner nothing, so that it keeps one plan; `{keys s}` are the columns
that name a row and tell its place.

A table of days counts rows by the days of their dates and by what else lists filter by. `{on_days s}` are the filters
as conditions on it, called `s` as its rows are otherwise, which find some rows too many; `{outside found s}` are those,
as further branches of a union, each by the file's fragment `found` (see `sql.days`). A page is cut from it by the day
of what is `{sorted}` by, or by its value where that is no date: `{day}`, and of a row `{day_of_row}`. The order of such
days, `k.day`, is `{days_in_order k}`; `{sorted_alone}` is the first sort, and `{ties}` are those that follow it.

A text with a scan for each of a few branches merges them as the index gives them: it reads no more than the page and
what comes before it. Where they are many or unknown, a text for any number of them reads each up to the page's end.
"""

from sql.file import File, load
from sql.statement import Prepared, Statement, Variant
from sql.visibility import Owner, Reach, Visibility

__all__ = ["File", "Owner", "Prepared", "Reach", "Statement", "Variant", "Visibility", "load"]
