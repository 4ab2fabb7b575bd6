from typing import Any

import pytest

from loaders.rows import Lists, Rows, column_of, end_to_end

ROWS = Rows({"id": (1, 2, 3), "name": ("a", None, "c")}, 3)


@pytest.mark.parametrize("places", [[], [1], [2, 0], [0, 0, 2, 1]])
def test_taken_rows_are_those_of_the_places_in_their_order(places: list[int]) -> None:
    taken = ROWS.take(places)
    ids = [ROWS[place]["id"] for place in places]
    assert (len(taken), list(taken.column("id"))) == (len(places), ids)
    assert [row["id"] for row in taken] == ids
    assert [list(column) for column in taken.columns(("name", "id"))] == [[row["name"] for row in taken], ids]


def test_rows_taken_of_taken_rows_are_counted_among_these() -> None:
    assert list(ROWS.take([2, 1, 0]).take([0, 2])) == [{"id": 3, "name": "c"}, {"id": 1, "name": "a"}]


def test_no_rows_are_none_and_false() -> None:
    none = Rows({"id": ()}, 0)
    assert (len(none), list(none), bool(none), list(none.take([]))) == (0, [], False, [])


def test_a_column_that_was_not_fetched_is_a_defect_and_no_null() -> None:
    for rows in (ROWS, ROWS.take([0]), ROWS.take([])):
        with pytest.raises(KeyError):
            rows.column("sku")


def test_lists_are_cut_at_their_lengths() -> None:
    assert list(Lists(ROWS, (2, 0, 1))) == [[ROWS[0], ROWS[1]], [], [ROWS[2]]]


def test_a_column_is_the_same_of_rows_of_either_kind() -> None:
    assert list(column_of(ROWS, "name")) == list(column_of(list(ROWS), "name")) == ["a", None, "c"]


def test_parts_of_the_same_rows_are_put_end_to_end() -> None:
    merged = end_to_end([ROWS[:2], ROWS.take([2, 0]), ROWS])
    assert isinstance(merged, Rows)
    assert list(merged.column("id")) == [1, 2, 3, 1, 1, 2, 3]
    assert [row["name"] for row in merged] == ["a", None, "c", "a", "a", None, "c"]
    assert end_to_end([ROWS]) is ROWS


@pytest.mark.parametrize("parts", [[], [[ROWS[0]]], [ROWS, [ROWS[0]]], [ROWS, Rows({"id": (1,)}, 1)]])
def test_other_parts_are_not(parts: list[Any]) -> None:
    assert end_to_end(parts) is None
