"""The fields of Query, which say who may ask them before anything is read."""

from collections.abc import Callable
from functools import wraps
from inspect import iscoroutinefunction
from typing import Any

from ariadne import QueryType

from app.context import Context, Info

# Raises where the caller may not ask; what it returns is of no interest.
Asked = Callable[[Context], Any]
Resolver = Callable[..., Any]


def holding(*permissions: str) -> Asked:
    """For viewers who hold all of these, for any viewer without. Raises `NotAuthenticated` and `Forbidden`."""

    def require(context: Context) -> None:
        for permission in permissions or (None,):
            context.require(permission)

    return require


def of_customer(context: Context) -> None:
    """For customers of the storefront, whatever they hold. Raises what `Context.customer` raises."""
    context.customer()


class GuardedQuery(QueryType):
    """Fields of Query, none of which is open by default."""

    def field(self, name: str, asked: Asked | None = None) -> Callable[[Resolver], Resolver]:
        """Registers the resolver, to be called after `asked`. Raises ValueError without one."""
        if asked is None:
            raise ValueError(f"Query.{name} does not say who may ask it")
        register = super().field(name)

        def decorate(resolver: Resolver) -> Resolver:
            register(_guarded(resolver, asked))
            return resolver

        return decorate


def _guarded(resolver: Resolver, asked: Asked) -> Resolver:
    if iscoroutinefunction(resolver):

        @wraps(resolver)
        async def resolve_later(root: None, info: Info, **arguments: Any) -> Any:
            asked(info.context)
            return await resolver(root, info, **arguments)

        return resolve_later

    @wraps(resolver)
    def resolve(root: None, info: Info, **arguments: Any) -> Any:
        asked(info.context)
        return resolver(root, info, **arguments)

    return resolve
