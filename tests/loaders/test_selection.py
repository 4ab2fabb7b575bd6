import gc
import tracemalloc
from collections.abc import Mapping
from itertools import combinations
from typing import Any

import pytest

import sql
from app.cache import Cache
from loaders import customer_order_item
from loaders.batch import Relation
from loaders.order_item import order_item_by_id
from loaders.result import CombinedQuery
from loaders.selection import CombinedQueries, RowSelection
from loaders.shipment_item import shipment_items_by_shipment
from loaders.source import sources_by_shipment
from loaders.track_and_trace import newest_track_and_traces_by_carrier, track_and_traces_by_shipment
from sql import Prepared, Reach, Statement

SHIPMENT = sql.load("shipment")
COLUMNS = ("id", "status", "order_item_id", "carrier_id", "shipment_id", "quantity", "code", "list")


async def columns_of(statement: Statement, _prepared: Prepared) -> Mapping[str, type]:
    if statement.name == "count":
        return {"items_found": int}
    return {name: list if name == "list" else str for name in COLUMNS}


async def combine(selection: RowSelection, **choice: Any) -> CombinedQuery | None:
    given: dict[str, Any] = {"filters": frozenset(), "order": ("CREATED_AT DESC",), "count": None, "values": {}}
    in_cache = CombinedQueries(columns_of, choice.pop("cache", None) or Cache())
    return await selection.combine(SHIPMENT.page, Reach.EVERYTHING, in_cache, **{**given, **choice})


def selection(columns: str | None, *branches: tuple[Relation, RowSelection]) -> RowSelection:
    return RowSelection(None if columns is None else frozenset(columns.split()), branches)


def known(selection: RowSelection) -> RowSelection:
    """The selection, which is not new any more."""
    selection.mark_used()
    return selection


ITEMS = Relation(shipment_items_by_shipment, "id")
ORDER_ITEM = Relation(order_item_by_id, "order_item_id")
TRACES = Relation(track_and_traces_by_shipment, "id")


async def test_parts_hold_what_is_wanted_and_what_they_hang_on() -> None:
    query = await combine(known(selection("status", (ITEMS, selection("quantity", (ORDER_ITEM, selection("code")))))))
    assert query is not None
    assert [part.columns for part in query.combined.parts] == [
        ("id", "status"),
        ("order_item_id", "shipment_id", "quantity"),
        ("id", "code"),
    ]
    assert [(branch.parent, branch.projection) for branch in query.shape.branches] == [
        (0, {"quantity", "order_item_id"}),
        (1, {"code"}),
    ]


async def test_a_branch_is_read_in_the_order_and_with_the_filters_of_its_batch() -> None:
    lines = customer_order_item.rows(filters=frozenset({"above"}), order=("ID DESC",), limit=3, above=7)
    query = await combine(selection("id", (Relation(lines, "id"), selection("code"))))
    assert query is not None
    text = query.combined.text
    assert "i.id > $" in text
    assert "ORDER BY i.id DESC" in text
    [_, own] = query.values({})
    assert (own["above"], own["limit"]) == (7, 3)


async def test_a_count_may_have_filters_of_its_own() -> None:
    filters = {"filters": frozenset({"skus"}), "count": SHIPMENT.count}
    same = await combine(selection("id"), **filters)
    other = await combine(selection("id"), **filters, counted=frozenset())
    assert same is not None
    assert other is not None
    assert same.combined.parts[-1].prepared is SHIPMENT.count.prepare(Reach.EVERYTHING, frozenset({"skus"}))
    assert other.combined.parts[-1].prepared is SHIPMENT.count.prepare(Reach.EVERYTHING)
    assert other.combined.parts[0].prepared is same.combined.parts[0].prepared


async def test_rows_with_an_array_are_left_to_their_own_statement() -> None:
    for columns in ("id list", None):
        assert await combine(selection(columns)) is None
        query = await combine(selection("id", (ITEMS, selection(columns)), (ORDER_ITEM, selection("id"))))
        assert query is not None
        assert [branch.relation for branch in query.shape.branches] == [ORDER_ITEM]


async def test_a_part_without_columns_still_counts_its_rows() -> None:
    query = await combine(known(selection("")))
    assert query is not None
    assert [part.columns for part in query.combined.parts] == [("id",)]
    assert [len(rows) for rows in query.rows([[7, 8, 9]])] == [3]
    assert [len(rows) for rows in query.rows([None])] == [0]


async def test_a_statement_has_a_bounded_number_of_parts() -> None:
    wide = selection("id")
    for place in range(40):
        wide = selection("id", (Relation(sources_by_shipment, f"id{place}"), wide))
    query = await combine(wide, count=SHIPMENT.count)
    assert query is not None
    assert len(query.combined.parts) == 17
    assert query.combined.parts[-1].columns == ("items_found",)


async def test_each_part_has_its_own_values_and_the_count_those_of_the_root() -> None:
    query = await combine(
        selection("id", (Relation(newest_track_and_traces_by_carrier, "carrier_id"), selection("code"))),
        count=SHIPMENT.count,
        filters=frozenset({"statuses"}),
        values={"statuses": ["NEW"]},
    )
    assert query is not None
    values = query.values({"limit": 3, "skip": 0, "statuses": ["NEW"]})
    assert [value.get("limit") for value in values] == [3, 100, 3]
    assert sorted(zip(query.combined.parameters, query.combined.arguments(values), strict=True)) == [
        ((0, "limit"), 3),
        ((0, "skip"), 0),
        ((0, "statuses"), ["NEW"]),
        ((1, "limit"), 100),
        ((2, "statuses"), ["NEW"]),
    ]


async def test_a_choice_is_composed_once() -> None:
    own, cache = known(selection("id", (ITEMS, selection("quantity")))), Cache()

    async def combined(of: RowSelection, *statuses: str) -> CombinedQuery | None:
        given = {"filters": frozenset({"statuses"}), "values": {"statuses": statuses}} if statuses else {}
        return await combine(of, cache=cache, **given)

    assert await combined(own) is await combined(own)
    assert await combined(own) is await combined(known(selection("id", (ITEMS, selection("quantity")))))
    assert await combined(own) is not await combined(known(selection("id", (ITEMS, selection("name")))))
    assert await combined(own) is not await combined(own, "NEW")
    assert await combined(own, "NEW") is await combined(own, "DELIVERED")
    assert await combined(own, "NEW") is not await combined(own, "NEW", "DELIVERED")


async def test_selections_that_are_new_share_the_statement_with_all_columns() -> None:
    cache = Cache()
    selections = [selection("id", (ITEMS, selection(column))) for column in ("quantity", "order_item_id", "code")]
    first, *others = [await combine(each, cache=cache) for each in selections]
    assert first is not None
    assert others == [first, first]
    everything = tuple(name for name in COLUMNS if name != "list")
    assert [part.columns for part in first.combined.parts] == [everything, everything]
    assert [branch.projection for branch in first.shape.branches] == [{*everything}]
    own = await combine(selections[0], cache=cache)
    assert own is not None
    assert [part.columns for part in own.combined.parts] == [("id",), ("shipment_id", "quantity")]
    assert own is await combine(selection("id", (ITEMS, selection("quantity"))), cache=cache)


async def test_a_new_tree_that_wants_what_the_shared_one_does_not_give_has_its_own_at_once() -> None:
    for own in (
        selection("id", (ITEMS, selection("list")), (ORDER_ITEM, selection("id"))),
        selection("id", (ITEMS, selection(None)), (ORDER_ITEM, selection("id"))),
    ):
        query = await combine(own)
        assert query is not None
        assert [part.columns for part in query.combined.parts] == [("id", "order_item_id"), ("id",)]


async def test_different_selections_stay_within_the_bytes_of_the_cache() -> None:
    cache, often = Cache(100_000), known(selection("id"))
    kept = await combine(often, cache=cache)
    for number in range(1500):
        query = await combine(
            known(selection("id", (Relation(sources_by_shipment, f"id{number}"), selection("id")))), cache=cache
        )
        assert query is not None
        assert cache.bytes <= cache.limit
        assert await combine(often, cache=cache) is kept
    assert 10 < cache.count < 30


async def test_what_was_forgotten_is_composed_again_by_the_layout_it_had() -> None:
    cache = Cache()
    own = known(selection("id", (ITEMS, selection("quantity"))))
    before = await combine(own, cache=cache)
    after = await combine(own, cache=Cache())
    assert before is not None
    assert after is not None
    assert before is not after
    assert (before.combined.text, before.shape) == (after.combined.text, after.shape)


async def test_a_composition_weighs_what_it_takes() -> None:
    """With the selection that is its key; the estimate may be up to 40 % off."""
    columns = [" ".join(chosen) for chosen in combinations(COLUMNS[:-1], 5)]
    for relations in ([], [ITEMS], [ITEMS, ORDER_ITEM], [ITEMS, ORDER_ITEM, TRACES]):
        cache = Cache()
        await combine(known(selection("id")), cache=cache, count=SHIPMENT.count)
        before = cache.bytes
        gc.collect()
        tracemalloc.start()
        for chosen in columns:
            own = selection(chosen, *((relation, selection(chosen)) for relation in relations))
            await combine(known(own), cache=cache, count=SHIPMENT.count)
        del own
        gc.collect()
        taken = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        assert cache.bytes - before == pytest.approx(taken, rel=0.4)


def test_a_tree_wants_the_keys_of_its_branches() -> None:
    assert selection("status", (ITEMS, selection("quantity"))).projection == {"status", "id"}
    assert selection(None, (ITEMS, selection("quantity"))).projection is None
