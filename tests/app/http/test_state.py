"""What a request carries from layer to layer."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from app.http.deadline import Deadlines, Work
from app.http.state import BODY, STATE, State, state_of


@pytest.fixture
async def work() -> AsyncIterator[Work]:
    deadlines = Deadlines(3600)
    yield Work(deadlines, None, 0)
    assert deadlines.timer is not None
    deadlines.timer.cancel()


def test_of_a_header_that_comes_twice_the_first_counts(work: Work) -> None:
    state = State({"headers": [(b"host", b"one"), (b"host", b"two"), (b"x-request-id", b"abc")]}, work)
    assert state.fields == {b"host": b"one", b"x-request-id": b"abc"}
    assert state.request_id == "abc"
    assert state.answer_headers == [(b"x-request-id", b"abc")]


def test_it_is_found_by_its_scope_and_holds_nothing_else(work: Work) -> None:
    state = State({"headers": []}, work)
    assert state_of({STATE: state}) is state
    with pytest.raises(AttributeError):
        state.outcom = "ok"


def test_a_body_that_the_server_has_is_taken_out_of_the_scope(work: Work) -> None:
    scope: dict[str, Any] = {"headers": [], BODY: b"whole"}
    assert State(scope, work).body == b"whole"
    assert scope == {"headers": []}
