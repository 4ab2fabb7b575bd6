"""The clock of `QuietLoop`, which other tests rely on: it waits for what is under way, and for nothing else."""

import asyncio
import socket
import time
from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest

from tests.quiet_loop import QuietLoop

T = TypeVar("T")


def test_time_that_is_waited_for_passes_at_once() -> None:
    began = time.monotonic()

    async def wait() -> float:
        before = asyncio.get_running_loop().time()
        await asyncio.sleep(86_400)
        return asyncio.get_running_loop().time() - before

    assert run(wait()) == 86_400
    assert time.monotonic() - began < 3_600


def test_no_timer_is_up_while_something_is_under_way() -> None:
    """A message goes to and fro a thousand times, and the shortest of timers waits for the last."""
    here, there = socket.socketpair()

    async def echo() -> None:
        reader, writer = await asyncio.open_connection(sock=there)
        while byte := await reader.read(1):
            writer.write(byte)
        writer.close()

    async def call() -> bool:
        echoing = asyncio.create_task(echo())
        reader, writer = await asyncio.open_connection(sock=here)
        timer = asyncio.create_task(asyncio.sleep(1e-6))
        await asyncio.sleep(0)
        for _ in range(1_000):
            writer.write(b"x")
            assert await reader.readexactly(1) == b"x"
        is_up = timer.done()
        await timer
        writer.close()
        await echoing
        return is_up

    assert run(call()) is False


def test_what_hangs_is_known_at_once() -> None:
    async def hang() -> None:
        async with asyncio.timeout(3_600):
            await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        run(hang())


def run(main: Coroutine[Any, Any, T]) -> T:
    with asyncio.Runner(loop_factory=QuietLoop) as runner:
        return runner.run(main)
