"""One execution of a plan, breadth first: every field of a level is resolved before the next level begins.

A level is a list of layers, a layer all objects that one field yields of one type. So a resolver is called once for all
of them where it can be, and loaders hear of all their keys at once. Objects are made at the end, from the last layer to
the first, when all they hold is there.
"""

from asyncio import Future, ensure_future, gather
from collections.abc import Awaitable, Container, Sequence
from functools import cached_property, partial
from types import CoroutineType
from typing import Any

from graphql import GraphQLObjectType, GraphQLResolveInfo
from graphql.execution.values import VariableValues
from graphql.pyutils import Path, is_awaitable

from app.execution.completion import check_plain, holds_awaitable
from app.execution.plan import BailOut, Field, Paths, Plan, Promise, Selection, Values

MISSING: Any = object()


class Failure:
    """What a resolver raised."""

    __slots__ = ("error",)

    def __init__(self, error: Exception) -> None:
        self.error = error


class PlannedInfo(GraphQLResolveInfo[Any]):
    """What resolvers get. `lookahead` is the field with all that is selected below it; `path` is made when read."""

    lookahead: Field
    place: tuple["Layer", int] | None = None

    @cached_property
    def path(self) -> Any:
        if self.place is None:  # a call for all objects at once is at no one path
            return None
        layer, index = self.place
        return Path(layer.paths()[index], self.lookahead.key, layer.selection.type.name)


class Layer:
    """The objects that one field yields, of one type.

    `resolved` holds what resolvers gave, by field, until the run is over: a list with a value, `Failure`, awaitable or
    `MISSING` per object; or one awaitable for all. `awaited` names the fields that had to be awaited, for all objects
    or for those at some places. `columns` holds what became of it all.
    """

    __slots__ = ("awaited", "columns", "objects", "paths", "resolved", "selection", "sources")

    def __init__(self, selection: Selection, sources: Sequence[Any], paths: Paths) -> None:
        self.selection = selection
        self.sources = sources
        self.paths = paths
        self.resolved: dict[str, Any] = {}
        self.awaited: dict[str, set[int] | None] = {}
        self.columns: list[Any] = [None] * len(selection.fields)
        self.objects: list[dict[str, Any]] = []

    def has_awaited(self, key: str, index: int) -> bool:
        """Whether the value of the object at this place came late."""
        places: Container[int] | None = self.awaited.get(key, ())
        return places is None or index in places

    def made(self) -> Values:
        return self.objects

    def make(self) -> None:
        columns = [column() if callable(column) else column for column in self.columns]
        self.columns = []  # whose promises hold the layers below, and these hold this one: a circle
        self.objects = self.selection.build(columns, len(self.sources))


class Run:
    """`start` runs as far as it goes without waiting; `finish` goes on while resolvers have to be awaited.

    `is_generated` says whether generated code made objects of the answer.
    """

    def __init__(self, plan: Plan, root_value: Any, context: Any, variables: VariableValues, helpers: Any) -> None:
        self.plan = plan
        self._root_value = root_value
        self.context = context
        self._variables = variables
        self.is_generated = False
        self._next = 0  # the first layer that is not resolved
        self._waiting: list[tuple[Layer, int]] = []
        self._shared = (
            plan.schema,
            plan.fragments,
            root_value,
            plan.operation,
            variables,
            context,
            is_awaitable,
            None,
            helpers,
        )

    @cached_property
    def layers(self) -> list[Layer]:
        """What was made so far, beginning with the root."""
        return [Layer(self.plan.root, [self._root_value], _root_paths)]

    @property
    def tier(self) -> str:
        """What made the answer: layers below the root, generated code, or the synchronous tier alone."""
        if "layers" in vars(self) and len(self.layers) > 1:
            return "layered"
        return "generated" if self.is_generated else "synchronous"

    @property
    def is_waiting(self) -> bool:
        return bool(self._waiting)

    def start(self) -> None:
        """Raises `BailOut`."""
        while self._next < len(self.layers):
            layer = self.layers[self._next]
            self._next += 1
            self._resolve(layer)

    async def finish(self) -> None:
        """Raises `BailOut`."""
        while self._waiting:
            waiting, self._waiting = self._waiting, []
            await self._settle(waiting)
            for layer, slot in waiting:
                self._complete(layer, slot, layer.resolved[layer.selection.fields[slot].key])
            self.start()

    async def alone(self, field: Field) -> dict[str, Any]:
        """The whole run of a plan that has `alone`: the answer, for which no layer is made. Raises `BailOut`."""
        arguments = self.arguments(field)
        info = self.info(field)
        info.path = Path(None, field.key, self.plan.root.type.name)
        try:
            values = [await field.resolver(self._root_value, info, **arguments)]
        except Exception as error:
            self._begin(field, [Failure(error)])
            raise BailOut from None
        assert field.synchronous is not None  # noqa: S101  the plan has looked
        try:
            return {field.key: field.synchronous(values, self)[0]}
        except BailOut:
            layer = self._begin(field, values)
            layer.columns[0] = field.complete(self, field, values, partial(_paths_of, layer, field.key))
        self.start()
        await self.finish()
        return self.answer()

    def _begin(self, field: Field, values: list[Any]) -> Layer:
        """The first layer, whose only field had to be awaited and gave `values`."""
        layer = self.layers[0]
        layer.awaited[field.key] = None
        layer.resolved[field.key] = values
        self._next = 1
        return layer

    def answer(self) -> dict[str, Any]:
        for layer in reversed(self.layers):
            layer.make()
        return self.layers[0].objects[0]

    # -------------------------------------------------------------------------------------------- for completers

    def arguments(self, of: Field) -> dict[str, Any]:
        try:
            return of.arguments(self._variables)
        except Exception:
            raise BailOut from None

    def add(self, of: Field, type_: GraphQLObjectType, sources: Sequence[Any], paths: Paths) -> Promise:
        layer = Layer(of.selections[type_.name], sources, paths)
        self.layers.append(layer)
        return layer.made

    def type_of(self, of: Field, type_: Any, value: Any) -> GraphQLObjectType:
        if type_.resolve_type is None:
            raise BailOut
        try:
            name = type_.resolve_type(value, self.info(of), type_)
        except Exception:
            raise BailOut from None
        if isinstance(name, CoroutineType):
            name.close()
        found = self.plan.schema.get_type(name) if isinstance(name, str) else None
        if (
            not isinstance(found, GraphQLObjectType)
            or found.is_type_of is not None
            or not self.plan.schema.is_sub_type(type_, found)
        ):
            raise BailOut
        return found

    # -------------------------------------------------------------------------------------------- resolving

    def _resolve(self, layer: Layer) -> None:
        selection, sources, columns = layer.selection, layer.sources, layer.columns
        try:
            read = selection.read(sources)
        except Exception:
            raise BailOut from None
        for (slot, check), column in zip(selection.leaves, read, strict=True):
            columns[slot] = check(column)
        for slot, field in selection.others:
            if field.bulk is not None:
                self._resolve_all(layer, slot, field)
            elif field.constant is not None:
                columns[slot] = [field.constant] * len(sources)
            else:
                self._resolve_each(layer, slot, field)

    def _resolve_all(self, layer: Layer, slot: int, field: Field) -> None:
        assert field.bulk is not None  # noqa: S101
        arguments = self.arguments(field)
        try:
            values = field.bulk(layer.sources, self.info(field), **arguments)
        except Exception as error:
            layer.resolved[field.key] = [Failure(error)] * len(layer.sources)
            raise BailOut from None
        layer.resolved[field.key] = values
        if is_awaitable(values):
            self._waiting.append((layer, slot))
        else:
            self._complete(layer, slot, values)

    def _resolve_each(self, layer: Layer, slot: int, field: Field) -> None:
        arguments = self.arguments(field)
        resolver = field.resolver
        values: list[Any] = [MISSING] * len(layer.sources)
        layer.resolved[field.key] = values
        for index, source in enumerate(layer.sources):
            try:
                values[index] = resolver(source, self.info(field, (layer, index)), **arguments)
            except Exception as error:
                values[index] = Failure(error)
                raise BailOut from None
        if holds_awaitable(values):
            self._waiting.append((layer, slot))
        else:
            self._complete(layer, slot, values)

    def info(self, field: Field, place: tuple[Layer, int] | None = None) -> PlannedInfo:
        own = (field.name, field.nodes, field.definition.type, field.parent_type, None)
        info = tuple.__new__(PlannedInfo, own + self._shared)
        info.lookahead = field
        if place is not None:
            info.place = place
        return info

    def _complete(self, layer: Layer, slot: int, values: Any) -> None:
        field = layer.selection.fields[slot]
        if field.synchronous is not None:
            try:
                layer.columns[slot] = field.synchronous(values, self)
                return
            except BailOut:
                pass
        if field.check is not None and isinstance(values, list):
            check_plain(values)
        layer.columns[slot] = field.complete(self, field, values, partial(_paths_of, layer, field.key))

    # -------------------------------------------------------------------------------------------- waiting

    async def _settle(self, waiting: list[tuple[Layer, int]]) -> None:
        """Puts outcomes in place of awaitables. Raises `BailOut` as soon as one has failed."""
        places: list[tuple[Any, Any]] = []
        awaitables: list[Awaitable[Any]] = []
        for layer, slot in waiting:
            key = layer.selection.fields[slot].key
            values = layer.resolved[key]
            if not isinstance(values, list):
                layer.awaited[key] = None
                places.append((layer.resolved, key))
                awaitables.append(values)
                continue
            layer.awaited[key] = awaited = set()
            for index, value in enumerate(values):
                if is_awaitable(value):
                    awaited.add(index)
                    places.append((values, index))
                    awaitables.append(value)
        outcomes = await _outcomes(awaitables)
        for (holder, key), outcome in zip(places, outcomes, strict=True):
            holder[key] = outcome
        if any(isinstance(outcome, Failure) for outcome in outcomes):
            raise BailOut


async def _outcomes(awaitables: list[Awaitable[Any]]) -> list[Any]:
    """Values and a `Failure`, and then what is not settled yet as futures: an error does not wait for its siblings."""
    if len(awaitables) == 1:
        try:  # without a task: most operations wait for one thing at a time
            return [await awaitables[0]]
        except Exception as error:
            return [Failure(error)]
    futures = [ensure_future(awaitable) for awaitable in awaitables]
    try:
        await gather(*futures)
    except Exception:  # noqa: S110  it is among the outcomes
        pass
    except BaseException:  # cancelled, from above or by one of them
        for future in futures:
            future.cancel()
        raise
    return [_outcome(future) for future in futures]


def _outcome(future: Future[Any]) -> Any:
    if not future.done():
        return future
    error = future.exception()
    if error is None:
        return future.result()
    if not isinstance(error, Exception):
        raise error
    return Failure(error)


def _root_paths() -> list[Any]:
    return [None]


def _paths_of(layer: Layer, key: str) -> list[Path]:
    return [Path(path, key, layer.selection.type.name) for path in layer.paths()]
