"""What an execution that met an error answers: graphql-core completes what the plan has resolved.

Which error belongs to which path, what becomes null, and which errors vanish below a null are subtle, and rare. So a
plan stops at the first sign of an error, and graphql-core executes the operation with resolvers that give what was
already resolved. A resolver that has run does not run again.
"""

import asyncio
import inspect
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from graphql import ExecutionResult, GraphQLFieldResolver, GraphQLResolveInfo, MiddlewareManager
from graphql.pyutils import AwaitableOrValue, Path, is_awaitable

from app.execution.plan import Field, Plan
from app.execution.run import MISSING, Failure, Layer, Run

Execute = Callable[..., AwaitableOrValue[ExecutionResult]]


class _Recorded(MiddlewareManager):
    """Stands between graphql-core and the resolvers."""

    def __init__(self, plan: Plan, layers: Sequence[Layer]) -> None:
        super().__init__()
        self._plan = plan
        self._layers = layers
        self._found: dict[tuple[str | int, ...], tuple[Layer, int]] = {}
        for layer in layers:
            if layer.resolved:
                for index, path in enumerate(layer.paths()):
                    self._found[tuple(path.as_list()) if path else ()] = (layer, index)
        self._all: dict[int, asyncio.Future[Any]] = {}
        self._taken: set[int] = set()
        self._given: list[Coroutine[Any, Any, Any]] = []

    def get_field_resolver(self, field_resolver: GraphQLFieldResolver) -> GraphQLFieldResolver:
        def resolve(source: Any, info: GraphQLResolveInfo[Any], **arguments: Any) -> Any:
            *parent, key = info.path.as_list()
            layer, index = self._found.get(tuple(parent), (None, 0))
            value = MISSING if layer is None else self._resolved(layer, index, str(key))
            if value is MISSING:
                value = self._available(source, info, arguments)
            if value is MISSING:
                return field_resolver(source, info, **arguments)
            self._taken.add(id(value))
            # What came late comes late again: errors race with those of their siblings.
            return self._give(_later(value)) if layer and layer.has_awaited(str(key), index) else _unwrap(value)

        return resolve

    def _resolved(self, layer: Layer, index: int, key: str) -> Any:
        values = layer.resolved.get(key, MISSING)
        if values is MISSING or isinstance(values, Failure):
            return values
        if is_awaitable(values):
            self._taken.add(id(values))
            return self._give(self._part(values, index))
        if not isinstance(values, list):  # lists end to end
            values = layer.resolved[key] = list(values)
        return values[index]

    def _available(self, source: Any, info: GraphQLResolveInfo[Any], arguments: dict[str, Any]) -> Any:
        """What the plan took without asking for it, so that nothing is asked for twice."""
        field = self._field(info.path)
        if field is None:
            return MISSING
        try:
            values = field.available([source], info.context, arguments)
        except Exception:  # its resolver will say what is wrong
            return MISSING
        return MISSING if values is None else next(iter(values))

    def _field(self, path: Path) -> Field | None:
        """The field of the plan at a path of the answer, whatever its places in lists."""
        while isinstance(path.key, int) and path.prev is not None:
            path = path.prev
        parent = path.prev
        if parent is None:
            return self._plan.root.field(str(path.key))
        above = self._field(parent)
        selection = above.selections.get(path.typename or "") if above else None
        return selection.field(str(path.key)) if selection else None

    def close(self) -> None:
        """Ends what graphql-core did not ask for: its objects had become null by then.

        What it has, and has answered without, it settles in the background.
        """
        for layer in self._layers:
            for values in layer.resolved.values():
                for value in values if isinstance(values, list) else (values,):
                    if id(value) not in self._taken:
                        _end(value)

    def close_all(self) -> None:
        """Ends what is left when graphql-core has waited for all that it was going to wait for."""
        self._taken.clear()
        self.close()
        for value in (*self._given, *self._all.values()):
            _end(value)

    def _give(self, coroutine: Coroutine[Any, Any, Any]) -> Coroutine[Any, Any, Any]:
        self._given.append(coroutine)
        return coroutine

    async def _part(self, values: Any, index: int) -> Any:
        """One object's part of an awaitable that gives the values of all."""
        future = self._all.get(id(values))
        if future is None:
            future = self._all[id(values)] = asyncio.ensure_future(values)
        parts = await asyncio.shield(future)
        return (parts if isinstance(parts, list) else list(parts))[index]


def _end(value: Any) -> None:
    if isinstance(value, asyncio.Future):
        value.cancel()
    elif inspect.iscoroutine(value) and inspect.getcoroutinestate(value) == inspect.CORO_CREATED:
        value.close()


def _unwrap(value: Any) -> Any:
    if isinstance(value, Failure):
        raise value.error
    return value


async def _later(value: Any) -> Any:
    """Errors are told in the order in which they come, so what was awaited takes a turn of the event loop again."""
    await asyncio.sleep(0)
    if not is_awaitable(value):
        return _unwrap(value)
    await asyncio.sleep(0)  # it was still under way when others had failed, so it stays behind them
    return await value


def replay(run: Run, execute: Execute) -> AwaitableOrValue[ExecutionResult]:
    """`execute` is graphql-core's, given all but the middleware."""
    recorded = _Recorded(run.plan, run.layers)
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
        recorded.close_all()
