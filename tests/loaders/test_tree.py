import gc
import tracemalloc
from collections.abc import Mapping
from itertools import combinations
from typing import Any

import pytest

import sql
from app.cache import Cache
from loaders import customer_order_item
from loaders.order_item import order_item_by_id
from loaders.shipment_item import shipment_items_by_shipment
from loaders.source import sources_by_shipment
from loaders.track_and_trace import newest_track_and_traces_by_carrier, track_and_traces_by_shipment
from loaders.tree import Composition, Compositions, Relation, Tree
from sql import Prepared, Reach, Statement

SHIPMENT = sql.load("shipment")
COLUMNS = ("id", "status", "order_item_id", "carrier_id", "shipment_id", "quantity", "code", "list")


async def columns_of(statement: Statement, _prepared: Prepared) -> Mapping[str, type]:
    if statement.name == "count":
        return {"items_found": int}
    return {name: list if name == "list" else str for name in COLUMNS}


async def compose(tree: Tree, **choice: Any) -> Composition | None:
    given: dict[str, Any] = {"filters": frozenset(), "order": ("CREATED_AT DESC",), "count": None, "values": {}}
    in_cache = Compositions(columns_of, choice.pop("cache", None) or Cache())
    return await tree.compose(SHIPMENT.page, Reach.EVERYTHING, in_cache, **{**given, **choice})


def tree(columns: str | None, *branches: tuple[Relation, Tree]) -> Tree:
    return Tree(None if columns is None else frozenset(columns.split()), branches)


def known(tree: Tree) -> Tree:
    """The tree, which is not new any more."""
    tree.is_first_use()
    return tree


ITEMS = Relation(shipment_items_by_shipment, "id")
ORDER_ITEM = Relation(order_item_by_id, "order_item_id")
TRACES = Relation(track_and_traces_by_shipment, "id")


async def test_parts_hold_what_is_wanted_and_what_they_hang_on() -> None:
    composition = await compose(known(tree("status", (ITEMS, tree("quantity", (ORDER_ITEM, tree("code")))))))
    assert composition is not None
    assert [part.columns for part in composition.fused.parts] == [
        ("id", "status"),
        ("order_item_id", "shipment_id", "quantity"),
        ("id", "code"),
    ]
    assert [(branch.parent, branch.wanted) for branch in composition.layout.branches] == [
        (0, {"quantity", "order_item_id"}),
        (1, {"code"}),
    ]


async def test_a_branch_is_read_in_the_order_and_with_the_filters_of_its_batch() -> None:
    lines = customer_order_item.rows(filters=frozenset({"above"}), order=("ID DESC",), limit=3, above=7)
    composition = await compose(tree("id", (Relation(lines, "id"), tree("code"))))
    assert composition is not None
    text = composition.fused.text
    assert "i.id > $" in text
    assert "ORDER BY i.id DESC" in text
    [_, own] = composition.values({})
    assert (own["above"], own["limit"]) == (7, 3)


async def test_a_count_may_have_filters_of_its_own() -> None:
    filters = {"filters": frozenset({"skus"}), "count": SHIPMENT.count}
    same = await compose(tree("id"), **filters)
    other = await compose(tree("id"), **filters, counted=frozenset())
    assert same is not None
    assert other is not None
    assert same.fused.parts[-1].prepared is SHIPMENT.count.prepare(Reach.EVERYTHING, frozenset({"skus"}))
    assert other.fused.parts[-1].prepared is SHIPMENT.count.prepare(Reach.EVERYTHING)
    assert other.fused.parts[0].prepared is same.fused.parts[0].prepared


async def test_rows_with_an_array_are_left_to_their_own_statement() -> None:
    for columns in ("id list", None):
        assert await compose(tree(columns)) is None
        composition = await compose(tree("id", (ITEMS, tree(columns)), (ORDER_ITEM, tree("id"))))
        assert composition is not None
        assert [branch.relation for branch in composition.layout.branches] == [ORDER_ITEM]


async def test_a_part_without_columns_still_counts_its_rows() -> None:
    composition = await compose(known(tree("")))
    assert composition is not None
    assert [part.columns for part in composition.fused.parts] == [("id",)]
    assert [len(rows) for rows in composition.rows([[7, 8, 9]])] == [3]
    assert [len(rows) for rows in composition.rows([None])] == [0]


async def test_a_statement_has_a_bounded_number_of_parts() -> None:
    wide = tree("id")
    for place in range(40):
        wide = tree("id", (Relation(sources_by_shipment, f"id{place}"), wide))
    composition = await compose(wide, count=SHIPMENT.count)
    assert composition is not None
    assert len(composition.fused.parts) == 17
    assert composition.fused.parts[-1].columns == ("items_found",)


async def test_each_part_has_its_own_values_and_the_count_those_of_the_root() -> None:
    composition = await compose(
        tree("id", (Relation(newest_track_and_traces_by_carrier, "carrier_id"), tree("code"))),
        count=SHIPMENT.count,
        filters=frozenset({"statuses"}),
        values={"statuses": ["NEW"]},
    )
    assert composition is not None
    values = composition.values({"limit": 3, "skip": 0, "statuses": ["NEW"]})
    assert [value.get("limit") for value in values] == [3, 100, 3]
    assert sorted(zip(composition.fused.parameters, composition.fused.arguments(values), strict=True)) == [
        ((0, "limit"), 3),
        ((0, "skip"), 0),
        ((0, "statuses"), ["NEW"]),
        ((1, "limit"), 100),
        ((2, "statuses"), ["NEW"]),
    ]


async def test_a_choice_is_composed_once() -> None:
    own, cache = known(tree("id", (ITEMS, tree("quantity")))), Cache()

    async def composed(of: Tree, *statuses: str) -> Composition | None:
        given = {"filters": frozenset({"statuses"}), "values": {"statuses": statuses}} if statuses else {}
        return await compose(of, cache=cache, **given)

    assert await composed(own) is await composed(own)
    assert await composed(own) is await composed(known(tree("id", (ITEMS, tree("quantity")))))
    assert await composed(own) is not await composed(known(tree("id", (ITEMS, tree("name")))))
    assert await composed(own) is not await composed(own, "NEW")
    assert await composed(own, "NEW") is await composed(own, "DELIVERED")
    assert await composed(own, "NEW") is not await composed(own, "NEW", "DELIVERED")


async def test_trees_that_are_new_share_the_statement_with_all_columns() -> None:
    cache = Cache()
    trees = [tree("id", (ITEMS, tree(column))) for column in ("quantity", "order_item_id", "code")]
    first, *others = [await compose(each, cache=cache) for each in trees]
    assert first is not None
    assert others == [first, first]
    everything = tuple(name for name in COLUMNS if name != "list")
    assert [part.columns for part in first.fused.parts] == [everything, everything]
    assert [branch.wanted for branch in first.layout.branches] == [{*everything}]
    own = await compose(trees[0], cache=cache)
    assert own is not None
    assert [part.columns for part in own.fused.parts] == [("id",), ("shipment_id", "quantity")]
    assert own is await compose(tree("id", (ITEMS, tree("quantity"))), cache=cache)


async def test_a_new_tree_that_wants_what_the_shared_one_does_not_give_has_its_own_at_once() -> None:
    for own in (
        tree("id", (ITEMS, tree("list")), (ORDER_ITEM, tree("id"))),
        tree("id", (ITEMS, tree(None)), (ORDER_ITEM, tree("id"))),
    ):
        composition = await compose(own)
        assert composition is not None
        assert [part.columns for part in composition.fused.parts] == [("id", "order_item_id"), ("id",)]


async def test_different_trees_stay_within_the_bytes_of_the_cache() -> None:
    cache, often = Cache(100_000), known(tree("id"))
    kept = await compose(often, cache=cache)
    for number in range(1500):
        composition = await compose(
            known(tree("id", (Relation(sources_by_shipment, f"id{number}"), tree("id")))), cache=cache
        )
        assert composition is not None
        assert cache.bytes <= cache.limit
        assert await compose(often, cache=cache) is kept
    assert 10 < cache.count < 30


async def test_what_was_forgotten_is_composed_again_by_the_layout_it_had() -> None:
    cache = Cache()
    own = known(tree("id", (ITEMS, tree("quantity"))))
    before = await compose(own, cache=cache)
    after = await compose(own, cache=Cache())
    assert before is not None
    assert after is not None
    assert before is not after
    assert (before.fused.text, before.layout) == (after.fused.text, after.layout)


async def test_a_composition_weighs_what_it_takes() -> None:
    """With the tree that is its key; the estimate may be up to 40 % off."""
    columns = [" ".join(chosen) for chosen in combinations(COLUMNS[:-1], 5)]
    for relations in ([], [ITEMS], [ITEMS, ORDER_ITEM], [ITEMS, ORDER_ITEM, TRACES]):
        cache = Cache()
        await compose(known(tree("id")), cache=cache, count=SHIPMENT.count)
        before = cache.bytes
        gc.collect()
        tracemalloc.start()
        for chosen in columns:
            own = tree(chosen, *((relation, tree(chosen)) for relation in relations))
            await compose(known(own), cache=cache, count=SHIPMENT.count)
        del own
        gc.collect()
        taken = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        assert cache.bytes - before == pytest.approx(taken, rel=0.4)


def test_a_tree_wants_the_keys_of_its_branches() -> None:
    assert tree("status", (ITEMS, tree("quantity"))).wanted == {"status", "id"}
    assert tree(None, (ITEMS, tree("quantity"))).wanted is None
