import pytest

from app.errors import LONGEST_MESSAGE, OrderNotFound, RequestRefused, ValidationError, quotable, shorten


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("", ""),
        ("short", "short"),
        ("x" * 120, "x" * 120),
        ("x" * 121, "x" * 90 + "…" + "x" * 9),
        ("a " + "x" * 120 + " b", "a " + "x" * 120 + " b"),
        (
            f"Cannot query field '{'x' * 500}' on type 'Query'.",
            f"Cannot query field '{'x' * 89}…{'x' * 8}' on type 'Query'.",
        ),
        ("one\n" + "x" * 200 + "\n" + "y" * 200, "one\n" + "x" * 90 + "…" + "x" * 9 + "\n" + "y" * 90 + "…" + "y" * 9),
        ("word " * 199, "word " * 199),
        ("word " * 201, ("word " * 200)[:999] + "…"),
    ],
)
def test_long_words_lose_their_middle_and_long_messages_their_end(message: str, shown: str) -> None:
    assert shorten(message) == shown
    assert len(shorten(message)) <= LONGEST_MESSAGE


def test_value_is_quoted_up_to_a_length_blanks_or_not() -> None:
    assert quotable("a value") == "a value"
    assert quotable("a " * 200) == "a " * 45 + "…" + " a a a a "[-9:]
    assert len(quotable("a " * 200)) == 100


def test_errors_are_short_whatever_they_tell_of() -> None:
    assert str(OrderNotFound("x y " * 1_000)).startswith('Order "x y x y')
    assert len(OrderNotFound("x y " * 1_000).message) < 150
    assert OrderNotFound(7).message == 'Order "7" not found.'
    assert len(RequestRefused(f"The parameter {'x' * 5_000!r} is given twice.").message) < 200
    assert ValidationError("input.ids.0", "must be a UUID").message == "input.ids.0 must be a UUID"
