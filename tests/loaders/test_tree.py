from collections.abc import Mapping
from typing import Any

import pytest

import sql
from loaders import tree as module
from loaders.order_item import order_item_by_id
from loaders.shipment_item import shipment_items_by_shipment
from loaders.source import sources_by_shipment
from loaders.track_and_trace import newest_track_and_traces_by_carrier
from loaders.tree import Composition, Relation, Tree
from sql import Prepared, Reach, Statement

SHIPMENT = sql.load("shipment")
COLUMNS = ("id", "status", "order_item_id", "carrier_id", "shipment_id", "quantity", "code", "list")


async def columns_of(_statement: Statement, _prepared: Prepared) -> Mapping[str, type]:
    return {name: list if name == "list" else str for name in COLUMNS}


async def compose(tree: Tree, **choice: Any) -> Composition | None:
    given: dict[str, Any] = {"filters": frozenset(), "order": ("CREATED_AT DESC",), "count": None, "values": {}}
    return await tree.compose(SHIPMENT.page, Reach.EVERYTHING, columns_of, **{**given, **choice})


def tree(columns: str | None, *branches: tuple[Relation, Tree]) -> Tree:
    return Tree(None if columns is None else frozenset(columns.split()), branches)


ITEMS = Relation(shipment_items_by_shipment, "id")
ORDER_ITEM = Relation(order_item_by_id, "order_item_id")


async def test_parts_hold_what_is_wanted_and_what_they_hang_on() -> None:
    composition = await compose(tree("status", (ITEMS, tree("quantity", (ORDER_ITEM, tree("code"))))))
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


async def test_rows_with_an_array_are_left_to_their_own_statement() -> None:
    for columns in ("id list", None):
        assert await compose(tree(columns)) is None
        composition = await compose(tree("id", (ITEMS, tree(columns)), (ORDER_ITEM, tree("id"))))
        assert composition is not None
        assert [branch.relation for branch in composition.layout.branches] == [ORDER_ITEM]


async def test_a_part_without_columns_still_counts_its_rows() -> None:
    composition = await compose(tree(""))
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
    own = tree("id", (ITEMS, tree("quantity")))
    assert await compose(own) is await compose(own)
    assert await compose(own) is not await compose(tree("id", (ITEMS, tree("quantity"))))

    async def of_statuses(*statuses: str) -> Composition | None:
        return await compose(own, filters=frozenset({"statuses"}), values={"statuses": statuses})

    assert await compose(own) is not await of_statuses("NEW")
    assert await of_statuses("NEW") is await of_statuses("DELIVERED")
    assert await of_statuses("NEW") is not await of_statuses("NEW", "DELIVERED")


async def test_what_is_composed_is_bounded_for_all_trees_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_COMPOSITIONS", 3)
    monkeypatch.setattr(module, "_compositions", type(module._compositions)())
    often = tree("id")
    kept = await compose(often)
    for _ in range(5):
        await compose(tree("id"))
        assert await compose(often) is kept
    assert len(module._compositions) == 3


def test_a_tree_wants_the_keys_of_its_branches() -> None:
    assert tree("status", (ITEMS, tree("quantity"))).wanted == {"status", "id"}
    assert tree(None, (ITEMS, tree("quantity"))).wanted is None
