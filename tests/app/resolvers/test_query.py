"""A field of Query is asked by those whom it names, and is open to nobody else."""

from inspect import iscoroutinefunction
from typing import Any

import pytest
from ariadne import QueryType

from app.resolvers import bindables
from app.resolvers.query import GuardedQuery, holding


def test_field_that_does_not_say_who_may_ask_it_is_refused() -> None:
    with pytest.raises(ValueError, match=r"Query\.orders"):
        GuardedQuery().field("orders")


def test_every_field_of_query_is_guarded() -> None:
    queries = [bindable for bindable in bindables if isinstance(bindable, QueryType)]
    assert queries
    assert all(isinstance(query, GuardedQuery) for query in queries)


@pytest.mark.parametrize("permissions", [(), ("orders:read",), ("orders:read", "shipments:read")])
def test_viewer_must_hold_all_that_is_named(permissions: tuple[str, ...]) -> None:
    asked: list[str | None] = []

    class Context:
        def require(self, permission: str | None) -> None:
            asked.append(permission)

    context: Any = Context()
    holding(*permissions)(context)
    assert asked == list(permissions or [None])


def test_guarded_resolver_is_a_coroutine_where_it_was_one() -> None:
    query = GuardedQuery()

    @query.field("now", holding())
    def resolve_now(*_: Any) -> None: ...

    @query.field("later", holding())
    async def resolve_later(*_: Any) -> None: ...

    assert not iscoroutinefunction(query._resolvers["now"])
    assert iscoroutinefunction(query._resolvers["later"])
