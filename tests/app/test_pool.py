"""The pool on a real server: who gets a connection, and what becomes of those that are lost or left in a mess."""

import asyncio
from collections.abc import AsyncIterator, Callable

import asyncpg
import pytest

from app.pool import Pool
from tests.conftest import FAR_TOO_LONG, until

PID = "SELECT pg_backend_pid()"


@pytest.fixture
async def make(server_dsn: str) -> AsyncIterator[Callable[[int], Pool]]:
    """Makes pools on the test server."""
    pools: list[Pool] = []

    def make(size: int) -> Pool:
        pools.append(Pool(lambda: asyncpg.connect(server_dsn), size))
        return pools[-1]

    yield make
    for pool in pools:
        await pool.close()


async def until_waiting(pool: Pool, number: int) -> None:
    await until(lambda: len(pool._waiting) >= number)


async def test_connections_are_made_when_needed_and_used_again(make: Callable[[int], Pool]) -> None:
    pool = make(3)
    alone = {await pool.fetchval(PID) for _ in range(5)}
    together = set(await asyncio.gather(*(pool.fetchval(PID) for _ in range(20))))
    assert len(alone) == 1
    assert alone < together
    assert len(together) == 3


async def test_who_waits_is_served_in_order(make: Callable[[int], Pool]) -> None:
    pool = make(1)
    served: list[int] = []

    async def take(number: int) -> None:
        async with pool.connection():
            served.append(number)
            await asyncio.sleep(0)

    async with asyncio.timeout(FAR_TOO_LONG):
        await asyncio.gather(*(take(number) for number in range(10)))
    assert served == list(range(10))


@pytest.mark.parametrize("is_served", [False, True], ids=["while waiting", "with a connection in hand"])
async def test_one_who_waits_and_is_cancelled_keeps_nothing(make: Callable[[int], Pool], is_served: bool) -> None:
    pool = make(1)
    async with pool.connection():
        impatient = asyncio.create_task(pool.fetchval(PID))
        patient = asyncio.create_task(pool.fetchval(PID))
        await until_waiting(pool, 2)
        if not is_served:
            impatient.cancel()
    # The connection was handed over, and nobody has run since.
    impatient.cancel()
    async with asyncio.timeout(FAR_TOO_LONG):
        assert await patient
    assert (await asyncio.wait([impatient]))[0].pop().cancelled()


async def test_a_lost_connection_is_replaced(make: Callable[[int], Pool]) -> None:
    pool = make(1)
    before = await pool.fetchval(PID)
    async with pool.connection() as connection:
        waiting = asyncio.create_task(pool.fetchval(PID))
        await until_waiting(pool, 1)
        connection.terminate()
    async with asyncio.timeout(FAR_TOO_LONG):
        assert before != await waiting == await pool.fetchval(PID)


async def test_a_connection_that_the_server_ended_is_replaced(make: Callable[[int], Pool]) -> None:
    pool, other = make(1), make(1)
    pid = await pool.fetchval(PID)
    [connection] = pool._free
    await other.execute("SELECT pg_terminate_backend($1)", pid)
    await until(connection.is_closed)
    assert await pool.fetchval(PID) != pid


async def test_an_error_of_a_statement_costs_no_connection(make: Callable[[int], Pool]) -> None:
    pool = make(1)
    before = await pool.fetchval(PID)
    with pytest.raises(asyncpg.DivisionByZeroError):
        await pool.fetch("SELECT 1 / $1::int", 0)
    assert await pool.fetchval(PID) == before


async def test_a_transaction_that_is_left_open_ends_with_its_connection(make: Callable[[int], Pool]) -> None:
    pool = make(1)
    async with pool.connection() as connection:
        before = await connection.fetchval(PID)
        await connection.execute("BEGIN")
        await connection.execute("CREATE TABLE left_open ()")
    assert await pool.fetchval(PID) != before
    assert await pool.fetchval("SELECT to_regclass('left_open')") is None


async def test_a_transaction_that_is_done_leaves_its_connection(make: Callable[[int], Pool]) -> None:
    pool = make(1)
    async with pool.connection() as connection, connection.transaction():
        before = await connection.fetchval(PID)
    assert await pool.fetchval(PID) == before


async def test_a_cancelled_statement_is_cancelled_on_the_server(make: Callable[[int], Pool]) -> None:
    pool, other = make(1), make(1)
    running = "SELECT count(*) FROM pg_stat_activity WHERE pid = $1 AND state = 'active' AND query LIKE '%pg_sleep%'"
    pid = await pool.fetchval(PID)
    task = asyncio.create_task(pool.fetch("SELECT pg_sleep(1000)"))
    async with asyncio.timeout(FAR_TOO_LONG):
        while not await other.fetchval(running, pid):  # noqa: ASYNC110
            await asyncio.sleep(0)
        task.cancel()
        assert await pool.fetchval("SELECT 1") == 1
    assert await other.fetchval(running, pid) == 0
    assert task.cancelled()


async def test_a_server_that_cannot_be_reached_is_everybodys_error_until_it_can(server_dsn: str) -> None:
    reachable = False

    async def connect() -> asyncpg.Connection:
        await asyncio.sleep(0)
        if not reachable:
            raise ConnectionRefusedError
        return await asyncpg.connect(server_dsn)

    pool = Pool(connect, 2)
    async with asyncio.timeout(FAR_TOO_LONG):
        failures = await asyncio.gather(*(pool.fetchval(PID) for _ in range(5)), return_exceptions=True)
        reachable = True
        pids = await asyncio.gather(*(pool.fetchval(PID) for _ in range(5)))
    assert [type(failure) for failure in failures] == [ConnectionRefusedError] * 5
    assert len(set(pids)) == 2
    await pool.close()


async def test_a_closed_pool_gives_nothing_and_takes_back_what_it_lent(make: Callable[[int], Pool]) -> None:
    pool = make(1)
    async with pool.connection() as connection:
        waiting = asyncio.create_task(pool.fetchval(PID))
        await until_waiting(pool, 1)
        await pool.close()
        assert await connection.fetchval("SELECT 1") == 1
    assert connection.is_closed()
    for refused in (waiting, pool.fetchval(PID)):
        with pytest.raises(asyncpg.InterfaceError):
            await refused
