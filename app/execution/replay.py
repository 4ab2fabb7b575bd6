"""What an execution that met an error answers: graphql-core completes what the plan has resolved.

Which error belongs to which path, what becomes null, and which errors vanish below a null are subtle, and rare. So a
plan stops at the first sign of an error, and graphql-core executes the operation with resolvers that give what was
already resolved. A resolver that has run does not run again.
"""

import asyncio
import inspect
from collections.abc import Callable, Sequence
from typing import Any

from graphql import ExecutionResult, GraphQLFieldResolver, GraphQLResolveInfo, MiddlewareManager
from graphql.pyutils import AwaitableOrValue, is_awaitable

from app.execution.run import MISSING, Failure, Layer

Execute = Callable[..., AwaitableOrValue[ExecutionResult]]


class _Recorded(MiddlewareManager):
    """Stands between graphql-core and the resolvers."""

    def __init__(self, layers: Sequence[Layer]) -> None:
        super().__init__()
        self._layers = layers
        self._found: dict[tuple[str | int, ...], tuple[Layer, int]] = {}
        for layer in layers:
            if layer.resolved:
                for index, spot in enumerate(layer.spots()):
                    self._found[tuple(spot.as_list()) if spot else ()] = (layer, index)
        self._all: dict[int, asyncio.Future[Any]] = {}
        self._taken: set[int] = set()

    def get_field_resolver(self, field_resolver: GraphQLFieldResolver) -> GraphQLFieldResolver:
        def resolve(source: Any, info: GraphQLResolveInfo[Any], **arguments: Any) -> Any:
            *parent, key = info.path.as_list()
            layer, index = self._found.get(tuple(parent), (None, 0))
            value = MISSING if layer is None else self._resolved(layer, index, str(key))
            if value is MISSING:
                return field_resolver(source, info, **arguments)
            self._taken.add(id(value))
            # What came late comes late again: errors race with those of their siblings.
            return _later(value) if layer and key in layer.awaited else _outcome(value)

        return resolve

    def _resolved(self, layer: Layer, index: int, key: str) -> Any:
        values = layer.resolved.get(key, MISSING)
        if values is MISSING or isinstance(values, Failure):
            return values
        if is_awaitable(values):
            return self._part(values, index)
        if not isinstance(values, list):  # lists end to end
            values = layer.resolved[key] = list(values)
        return values[index]

    def close(self) -> None:
        """Closes the coroutines that graphql-core had no use for: their objects had become null by then."""
        for layer in self._layers:
            for values in layer.resolved.values():
                for value in values if isinstance(values, list) else (values,):
                    if inspect.iscoroutine(value) and id(value) not in self._taken and id(value) not in self._all:
                        value.close()

    async def _part(self, values: Any, index: int) -> Any:
        """One object's part of an awaitable that gives the values of all."""
        future = self._all.get(id(values))
        if future is None:
            future = self._all[id(values)] = asyncio.ensure_future(values)
        parts = await asyncio.shield(future)
        return (parts if isinstance(parts, list) else list(parts))[index]


def _outcome(value: Any) -> Any:
    if isinstance(value, Failure):
        raise value.error
    return value


async def _later(value: Any) -> Any:
    if not is_awaitable(value):
        return _outcome(value)
    await asyncio.sleep(0)  # it was still under way when others had failed, so it stays behind them
    return await value


def replay(layers: list[Layer], execute: Execute) -> AwaitableOrValue[ExecutionResult]:
    """`execute` is graphql-core's, given all but the middleware."""
    recorded = _Recorded(layers)
    result = execute(middleware=recorded)
    if is_awaitable(result):
        return _finish(result, recorded)
    recorded.close()
    return result


async def _finish(result: Any, recorded: _Recorded) -> ExecutionResult:
    try:
        answer: ExecutionResult = await result
        return answer
    finally:
        recorded.close()
