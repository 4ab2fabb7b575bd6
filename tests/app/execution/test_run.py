"""What a run does beside the answer: how often it calls, what it waits for, and what it leaves behind."""

import asyncio
import gc
import weakref
from collections import Counter
from typing import Any

import pytest
from graphql import build_schema

from app.execution.field_plan import FieldPlan, declare
from tests.app.execution.conftest import run_plain, run_planned
from tests.conftest import FAR_TOO_LONG

SDL = """
type Query { nodes: [Node!] node: Node slow: Int other: Int fails: Int late: Int! }
type Mutation { write: Node }
type Node { id: Int boom: Int must: Int! later: Int node: Node bulk: Node hangs: Int! }
"""


class Item:
    """Weakly referable, as rows of a real resolver are not."""

    def __init__(self, id: int) -> None:
        self.id = id


class World:
    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.cancelled: list[str] = []
        self.started = asyncio.Event()
        self.schema = build_schema(SDL)
        for type_ in (self.schema.query_type, self.schema.mutation_type, self.schema.type_map["Node"]):
            for name, field in type_.fields.items():
                field.resolve = self.counted(name, getattr(self, name))
        bulk = self.schema.type_map["Node"].fields["bulk"]
        declare(bulk, FieldPlan(resolve=bulk.resolve, bulk=lambda parents, info: self.all(parents)))

    def counted(self, name: str, resolve: Any) -> Any:
        def resolver(parent: Any, _info: Any) -> Any:
            self.calls[name] += 1
            return resolve(parent)

        return resolver

    def all(self, parents: Any) -> Any:
        self.calls["bulk of all"] += 1
        return list(parents)

    def nodes(self, _root: Any) -> Any:
        return [Item(number) for number in range(4)]

    async def node(self, parent: Any) -> Any:
        return parent or Item(1)

    async def write(self, _root: Any) -> Any:
        return Item(2)

    def id(self, item: Any) -> int:
        return int(item.id)

    def bulk(self, item: Any) -> Any:
        return item

    async def later(self, item: Any) -> int:
        await asyncio.sleep(0)
        return int(item.id)

    def boom(self, item: Any) -> int:
        if item.id == 2:
            raise ValueError("boom")
        return int(item.id)

    async def must(self, item: Any) -> int | None:
        await asyncio.sleep(0)
        return None if item.id == 2 else int(item.id)

    async def fails(self, _root: Any) -> int:
        raise ValueError("fails")

    async def late(self, _root: Any) -> int:
        raise ValueError("late")

    async def hang(self, name: str) -> int:
        self.started.set()
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            self.cancelled.append(name)
            raise
        return 1

    async def slow(self, _root: Any) -> int:
        return await self.hang("slow")

    async def other(self, _root: Any) -> int:
        return await self.hang("other")

    async def hangs(self, item: Any) -> int:
        return await self.hang(f"hangs {item.id}")


@pytest.fixture
async def world() -> World:
    return World()


# Where a field fails at once, graphql-core drops what it has made for the siblings.
@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(
    ("text", "calls"),
    [
        ("{ nodes { id boom later } }", {"nodes": 1, "id": 4, "boom": 4, "later": 4}),
        ("{ nodes { must id } fails }", {"nodes": 1, "must": 4, "id": 4, "fails": 1}),
        ("{ node { node { boom later } } late }", {"node": 2, "boom": 1, "later": 1, "late": 1}),
        ("mutation { write { id boom } }", {"write": 1, "id": 1, "boom": 1}),
        ("mutation { write { must node { id } } }", {"write": 1, "must": 1, "node": 1, "id": 1}),
        ("{ nodes { bulk { id boom } } }", {"nodes": 1, "bulk of all": 1, "id": 4, "boom": 4}),
    ],
)
async def test_a_resolver_runs_once_for_each_object_though_there_is_an_error(
    world: World, text: str, calls: dict[str, int]
) -> None:
    answer, by = await run_planned(world.schema, text)
    assert by == "replay"
    # Those of an object that became null need not run.
    assert all(world.calls[name] <= calls[name] for name in world.calls)
    assert world.calls.keys() <= calls.keys()
    found = dict(world.calls)
    assert answer == await run_plain(world.schema, text)
    assert found.get("write", 0) <= 1


@pytest.mark.parametrize("text", ["{ slow }", "{ slow other node { id } }", "{ nodes { hangs } }"])
async def test_a_cancelled_request_cancels_all_that_it_waits_for(world: World, text: str) -> None:
    task = asyncio.create_task(run_planned(world.schema, text))
    await world.started.wait()
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.sleep(0)
    hanging = sum(count for name, count in world.calls.items() if name in ("slow", "other", "hangs"))
    assert len(world.cancelled) == hanging
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_what_is_cancelled_from_below_cancels_its_siblings(world: World) -> None:
    async def gives_up(*_: Any) -> None:
        await world.started.wait()
        raise asyncio.CancelledError

    world.schema.query_type.fields["fails"].resolve = gives_up
    with pytest.raises(asyncio.CancelledError):
        await run_planned(world.schema, "{ slow fails other }")
    await asyncio.sleep(0)
    assert sorted(world.cancelled) == ["other", "slow"]


async def test_a_run_leaves_no_circles_for_the_garbage_collector(world: World) -> None:
    seen: list[weakref.ref[Any]] = []

    def nodes(*_: Any) -> list[Item]:
        items = [Item(1), Item(2)]
        seen.extend(map(weakref.ref, items))
        return items

    world.schema.query_type.fields["nodes"].resolve = nodes
    gc.collect()
    gc.disable()
    try:
        answer, by = await run_planned(world.schema, "{ nodes { id node { later bulk { id } } } }")
        assert (len(answer["data"]["nodes"]), by) == (2, "layered")
        assert [reference() for reference in seen] == [None, None]
    finally:
        gc.enable()


async def test_a_level_is_awaited_together(world: World) -> None:
    """One after the other they would wait for each other for ever."""
    waiting = 0
    all_there = asyncio.Event()

    async def meet(*_: Any) -> int:
        nonlocal waiting
        waiting += 1
        if waiting == 5:
            all_there.set()
        await all_there.wait()
        return 1

    for name in ("slow", "other", "fails", "late"):
        world.schema.query_type.fields[name].resolve = meet
    async with asyncio.timeout(FAR_TOO_LONG):
        answer, by = await run_planned(world.schema, "{ slow other fails late again: slow }")
    assert (set(answer["data"].values()), by) == ({1}, "synchronous")


async def test_info_tells_the_path_of_the_object(world: World) -> None:
    paths: list[Any] = []
    world.schema.type_map["Node"].fields["id"].resolve = lambda _item, info: paths.append(info.path.as_list())
    await run_planned(world.schema, "{ all: nodes { node { number: id } } }")
    assert paths == [["all", place, "node", "number"] for place in range(4)]
