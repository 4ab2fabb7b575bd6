from collections.abc import Sequence
from typing import Any

import pytest

import sql
from sql import Prepared, Reach
from sql.merge import branches, lists


def test_branches_are_all_combinations_of_what_is_compared_with() -> None:
    types = {"statuses": "text[]", "channels": "int[]", "companies": "int[]"}
    branch = "status = ANY(:statuses) AND channel = ANY(:channels) AND id = ANY(:ids)"
    assert lists(branch, types) == ":statuses::text[] AS statuses, :channels::int[] AS channels, "
    assert branches([branch], types, (2, 1)) == (
        "((status = given.statuses[1] AND channel = given.channels[1] AND id = ANY(:ids))"
        " UNION ALL (status = given.statuses[2] AND channel = given.channels[1] AND id = ANY(:ids)))"
    )
    assert "(status = each_statuses.value AND channel = each_channels.value AND id = ANY(:ids))" in (
        branches([branch], types, None)
    )
    assert branches(["true"], types, ()) == branches(["true"], types, None) == "((true))"


def test_parts_of_a_list_are_branches_of_their_own() -> None:
    texts = ["id = ANY(:ids) AND a", "id = ANY(:ids) AND b"]
    assert branches(texts, {"ids": "int[]"}, (1,)) == "((id = given.ids[1] AND a) UNION ALL (id = given.ids[1] AND b))"
    assert branches(texts, {"ids": "int[]"}, None).endswith(
        "LATERAL ((id = each_ids.value AND a) UNION ALL (id = each_ids.value AND b)) AS branch)"
    )


def _page_of_shipments(channel_ids: Sequence[int], statuses: Sequence[Any] | None) -> Prepared:
    values = None if statuses is None else {"visible_channel_ids": channel_ids, "statuses": statuses}
    order = ("CREATED_AT DESC", "ID ASC")
    return sql.load("shipment").page.prepare(Reach.CHANNELS, frozenset({"statuses"}), order, values)


@pytest.mark.parametrize(("statuses", "merged"), [("", 2), ("A", 2), ("AB", 4), ("ABC", 8), ("ABCDEFGH", 16)])
def test_few_branches_are_merged(statuses: str, merged: int) -> None:
    prepared = _page_of_shipments([1, 2], statuses)
    assert prepared.lists == ("visible_channel_ids", "statuses")
    assert prepared.text.count("s.status = given.statuses[") == merged


@pytest.mark.parametrize("statuses", ["ABCDEFGHI", "ABA"])
def test_many_branches_or_one_twice_are_read_as_of_any_number(statuses: str) -> None:
    assert _page_of_shipments([1, 2], statuses) == _page_of_shipments([1, 2], None)


def test_lists_of_whatever_length_make_few_texts() -> None:
    lengths = range(40)
    assert len({_page_of_shipments(range(some), range(more)) for some in lengths for more in lengths}) == 16
