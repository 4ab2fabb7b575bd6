"""What siblings share is read once, and ends with the last who waits for it."""

import asyncio

import pytest

from app.resolvers.once import once


class Reading:
    def __init__(self) -> None:
        self.begun = self.ended = 0
        self.answer = asyncio.Event()

    async def __call__(self) -> int:
        self.begun += 1
        try:
            await self.answer.wait()
        finally:
            self.ended += 1
        return 7


@pytest.fixture
def reading() -> Reading:
    return Reading()


async def test_siblings_share_one_reading(reading: Reading) -> None:
    shared = once(reading)
    waiting = asyncio.gather(shared(), shared())
    reading.answer.set()
    assert await waiting == [7, 7]
    assert await shared() == 7
    assert reading.begun == 1


async def test_one_who_leaves_does_not_end_it_for_the_others(reading: Reading) -> None:
    shared = once(reading)
    impatient, patient = asyncio.ensure_future(shared()), asyncio.ensure_future(shared())
    await asyncio.sleep(0)
    impatient.cancel()
    await asyncio.wait([impatient])
    reading.answer.set()
    assert await patient == 7
    assert (reading.begun, reading.ended) == (1, 1)


async def test_it_ends_when_all_have_left_and_is_read_anew_for_the_next(reading: Reading) -> None:
    shared = once(reading)
    waiting = [asyncio.ensure_future(shared()) for _ in range(2)]
    await asyncio.sleep(0)
    for one in waiting:
        one.cancel()
    await asyncio.wait(waiting)
    await asyncio.sleep(0)
    assert (reading.begun, reading.ended) == (1, 1)
    reading.answer.set()
    assert await shared() == 7
    assert reading.begun == 2
