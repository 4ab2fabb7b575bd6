"""The pool on a real server: who gets a connection, and what becomes of those that are lost or left in a mess."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable

import asyncpg
import pytest

from app.errors import Overloaded, ReadOnly, Unavailable
from app.postgres.connect import Connection, Connector
from app.postgres.pool import Pool
from tests.conftest import FAR_TOO_LONG, until, until_waiting
from tests.proxy import Proxy, proxied
from tests.through_pool import execute, value

PID = "SELECT pg_backend_pid()"
# Its own for each process of tests: all of them use one database of the server here.
LOCK = os.getpid()


@pytest.fixture
async def make(server_dsn: str) -> AsyncIterator[Callable[[int], Pool]]:
    """Makes pools on the test server."""
    pools: list[Pool] = []

    def make(size: int) -> Pool:
        pools.append(Pool(Connector(server_dsn, statement_cache=100), size))
        return pools[-1]

    yield make
    for pool in pools:
        await pool.close()


async def until_queued(pool: Pool, number: int) -> None:
    await until(lambda: len(pool._waiting) >= number)


async def test_connections_are_made_when_needed_and_used_again(make: Callable[[int], Pool]) -> None:
    pool = make(3)
    alone = {await value(pool, PID) for _ in range(5)}
    together = set(await asyncio.gather(*(value(pool, PID) for _ in range(20))))
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
        impatient = asyncio.create_task(value(pool, PID))
        patient = asyncio.create_task(value(pool, PID))
        await until_queued(pool, 2)
        if not is_served:
            impatient.cancel()
    # The connection was handed over, and nobody has run since.
    impatient.cancel()
    async with asyncio.timeout(FAR_TOO_LONG):
        assert await patient
    assert (await asyncio.wait([impatient]))[0].pop().cancelled()


async def test_a_lost_connection_is_replaced(make: Callable[[int], Pool]) -> None:
    pool = make(1)
    before = await value(pool, PID)
    async with pool.connection() as connection:
        waiting = asyncio.create_task(value(pool, PID))
        await until_queued(pool, 1)
        connection.terminate()
    async with asyncio.timeout(FAR_TOO_LONG):
        assert before != await waiting == await value(pool, PID)


async def test_a_connection_that_the_server_ended_is_replaced(make: Callable[[int], Pool]) -> None:
    pool, other = make(1), make(1)
    pid = await value(pool, PID)
    [connection] = pool._free
    await execute(other, "SELECT pg_terminate_backend($1)", pid)
    await until(connection.is_closed)
    assert await value(pool, PID) != pid


async def test_an_error_of_a_statement_costs_no_connection(make: Callable[[int], Pool]) -> None:
    pool = make(1)
    before = await value(pool, PID)
    with pytest.raises(asyncpg.DivisionByZeroError):
        await pool.fetch("SELECT 1 / $1::int", 0)
    assert await value(pool, PID) == before


async def test_a_transaction_that_is_left_open_ends_with_its_connection(make: Callable[[int], Pool]) -> None:
    pool = make(1)
    async with pool.connection() as connection:
        before = await connection.fetchval(PID)
        await connection.execute("BEGIN")
        await connection.execute("CREATE TABLE left_open ()")
    assert await value(pool, PID) != before
    assert await value(pool, "SELECT to_regclass('left_open')") is None


async def test_a_transaction_that_is_done_leaves_its_connection(make: Callable[[int], Pool]) -> None:
    pool = make(1)
    async with pool.connection() as connection, connection.transaction():
        before = await connection.fetchval(PID)
    assert await value(pool, PID) == before


async def test_a_cancelled_statement_is_cancelled_on_the_server(make: Callable[[int], Pool]) -> None:
    pool, other = make(1), make(1)
    running = "SELECT count(*) FROM pg_stat_activity WHERE pid = $1 AND state = 'active' AND query LIKE '%pg_sleep%'"
    pid = await value(pool, PID)
    task = asyncio.create_task(pool.fetch("SELECT pg_sleep(1000)"))
    async with asyncio.timeout(FAR_TOO_LONG):
        while not await value(other, running, pid):  # noqa: ASYNC110
            await asyncio.sleep(0)
        task.cancel()
        assert await value(pool, "SELECT 1") == 1
    assert await value(other, running, pid) == 0
    assert task.cancelled()


async def test_a_server_that_cannot_be_reached_is_everybodys_error_until_it_can(server_dsn: str) -> None:
    reachable = False

    async def connect() -> asyncpg.Connection:
        await asyncio.sleep(0)
        if not reachable:
            raise ConnectionRefusedError
        return await Connector(server_dsn, statement_cache=100)()

    pool = Pool(connect, 2)
    async with asyncio.timeout(FAR_TOO_LONG):
        failures = await asyncio.gather(*(value(pool, PID) for _ in range(5)), return_exceptions=True)
        reachable = True
        pids = await asyncio.gather(*(value(pool, PID) for _ in range(5)))
    assert [type(failure) for failure in failures] == [Unavailable] * 5
    assert {type(failure.__cause__) for failure in failures if isinstance(failure, Unavailable)} == {
        ConnectionRefusedError
    }
    assert len(set(pids)) == 2
    await pool.close()


async def test_a_server_that_starts_again_is_waited_for(server_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """But not one that stays away, and it is asked no more often than that."""
    refusals: list[Exception] = [ConnectionRefusedError(), *[asyncpg.CannotConnectNowError("in recovery mode")] * 3]

    async def connect() -> asyncpg.Connection:
        if refusals:
            raise refusals.pop(0)
        return await Connector(server_dsn, statement_cache=100)()

    pool = Pool(connect, 1)
    async with asyncio.timeout(FAR_TOO_LONG):
        before = await value(pool, PID)
        refusals += [asyncpg.CannotConnectNowError("in recovery mode")] * 3
        async with pool.connection() as connection:
            connection.terminate()
        assert await value(pool, PID) != before
    monkeypatch.setattr("app.postgres.pool._RESTART_SECONDS", 0)
    async with pool.connection() as connection:
        connection.terminate()
    refusals += [asyncpg.CannotConnectNowError("starting up")] * 2
    with pytest.raises(Unavailable):
        await value(pool, PID)
    assert len(refusals) == 1
    await pool.close()


async def test_a_closed_pool_gives_nothing_and_takes_back_what_it_lent(make: Callable[[int], Pool]) -> None:
    pool = make(1)
    async with pool.connection() as connection:
        waiting = asyncio.create_task(value(pool, PID))
        await until_queued(pool, 1)
        await pool.close()
        assert await connection.fetchval("SELECT 1") == 1
    assert connection.is_closed()
    for refused in (waiting, value(pool, PID)):
        with pytest.raises(Unavailable):
            await refused


# ------------------------------------------------------------------------------------------------ what was lost


@pytest.fixture
async def proxy(server_dsn: str) -> AsyncIterator[Proxy]:
    async with proxied(server_dsn) as proxy:
        yield proxy


@pytest.fixture
async def lock(server_dsn: str) -> AsyncIterator[asyncpg.Connection]:
    """Holds the advisory lock that `WAIT` waits for, until it is told to let go."""
    connection = await asyncpg.connect(server_dsn)
    await connection.execute("SELECT pg_advisory_lock($1)", LOCK)
    yield connection
    await connection.close()


WAIT = f"SELECT pg_advisory_xact_lock_shared({LOCK})"


async def test_a_read_whose_connection_is_terminated_is_tried_anew(
    make: Callable[[int], Pool], lock: asyncpg.Connection
) -> None:
    pool = make(1)
    reading = asyncio.create_task(pool.fetch(WAIT))
    for _ in range(3):
        [pid] = await until_waiting(lock, 1)
        await lock.execute("SELECT pg_terminate_backend($1, 10000)", pid)
        await until_waiting(lock, 1)
    await lock.execute("SELECT pg_advisory_unlock($1)", LOCK)
    assert len(await reading) == 1
    assert pool.repeated == 3


@pytest.mark.parametrize("is_idle", [True, False], ids=["idle", "under way"])
async def test_a_read_whose_connection_is_reset_is_tried_anew(
    proxy: Proxy, lock: asyncpg.Connection, is_idle: bool
) -> None:
    pool = Pool(Connector(proxy.dsn, statement_cache=100), 2)
    await asyncio.gather(*(pool.fetch("SELECT pg_sleep(0.01)") for _ in range(2)))
    statement = "SELECT 1" if is_idle else WAIT
    if is_idle:
        assert proxy.reset(idle=True) == 2
    reading = [asyncio.create_task(pool.fetch(statement)) for _ in range(2)]
    if not is_idle:
        await until_waiting(lock, 2)
        proxy.reset()
        await until(lambda: proxy.accepted == 4)
        await lock.execute("SELECT pg_advisory_unlock($1)", LOCK)
    assert [len(rows) for rows in await asyncio.gather(*reading)] == [1, 1]
    await pool.close()


async def test_a_write_that_was_sent_is_never_sent_again(proxy: Proxy, lock: asyncpg.Connection) -> None:
    pool = Pool(Connector(proxy.dsn, statement_cache=100), 2)
    sent = 0

    def count(data: bytes) -> None:
        nonlocal sent
        sent += data.count(b"pg_advisory_xact_lock(%d)" % LOCK)

    proxy.seen = count
    writing = asyncio.create_task(pool.fetch_once(f"SELECT pg_advisory_xact_lock({LOCK})"))
    await until_waiting(lock, 1)
    proxy.reset()
    with pytest.raises(Unavailable) as raised:
        await writing
    assert raised.value.code == "UNAVAILABLE"
    assert sent == 1
    assert await pool.fetch("SELECT 1")
    await pool.close()


async def test_a_write_on_a_connection_that_was_lost_before_is_done(make: Callable[[int], Pool]) -> None:
    pool = make(1)
    await execute(pool, "SELECT")
    [connection] = pool._free
    connection.terminate()
    assert [row[0] for row in await pool.fetch_once("SELECT 1")] == [1]
    pool._free[0].terminate()
    assert await execute(pool, "SELECT") == "SELECT 1"


@pytest.mark.parametrize("discard", ["DISCARD ALL", "DEALLOCATE ALL"])
async def test_a_prepared_statement_that_is_gone_is_prepared_anew(make: Callable[[int], Pool], discard: str) -> None:
    vanished: list[None] = []
    pool = make(3)
    pool._on_vanished = lambda: vanished.append(None)
    for fetch in (pool.fetch, pool.fetch_once):
        for _ in range(2):
            await asyncio.gather(*(fetch("SELECT $1::int, pg_sleep(0.01)", 1) for _ in range(3)))
        for connection in pool._free:
            await connection.execute(discard)
        rows = await asyncio.gather(*(fetch("SELECT $1::int, pg_sleep(0.01)", 7) for _ in range(9)))
        assert [row[0][0] for row in rows] == [7] * 9
    # All three lost what they had at once, which is one loss.
    assert len(vanished) == 2
    assert pool.lent == 0
    assert len(pool._free) == 3


async def test_a_transaction_begins_on_a_good_connection_or_not_at_all(proxy: Proxy) -> None:
    pool = Pool(Connector(proxy.dsn, statement_cache=100), 1)
    await pool.fetch("SELECT 1")
    assert proxy.reset(idle=True) == 1
    connection, rows = await pool.begin("BEGIN", "SELECT $1::int AS number", 3)
    assert [row["number"] for row in rows] == [3]
    assert connection.is_in_transaction()
    await pool.take_back(connection, FAR_TOO_LONG)
    assert pool._free == [connection]
    assert not connection.is_in_transaction()
    with pytest.raises(asyncpg.DivisionByZeroError):
        await pool.begin("BEGIN", "SELECT 1 / $1::int", 0)
    await until(lambda: pool._free == [connection])
    assert not connection.is_in_transaction()
    await pool.close()


async def test_a_server_that_no_longer_takes_writes_is_left(server_dsn: str) -> None:
    made: list[asyncpg.Connection] = []

    async def connect() -> asyncpg.Connection:
        settings = {"default_transaction_read_only": "off" if made else "on"}
        made.append(await asyncpg.connect(server_dsn, server_settings=settings, connection_class=Connection))
        return made[-1]

    pool = Pool(connect, 2, seeks_writable=True)
    with pytest.raises(ReadOnly):
        await execute(pool, "CREATE TEMPORARY SEQUENCE s; CREATE TABLE never ()")
    assert made[0].is_closed()
    assert await execute(pool, "CREATE TEMPORARY TABLE now_it_can ()") == "CREATE TABLE"
    await pool.close()


# ------------------------------------------------------------------------------------------------ what takes too long


async def test_who_has_waited_for_too_long_is_refused_and_the_others_go_on(server_dsn: str) -> None:
    pool = Pool(Connector(server_dsn, statement_cache=100), 1, wait_seconds=0.2)
    async with pool.connection():
        refused = [asyncio.create_task(pool.fetch("SELECT 1")) for _ in range(3)]
        for task in refused:
            with pytest.raises(Overloaded):
                await task
        assert pool.waiting == 0
        pool._wait_seconds = FAR_TOO_LONG
        late = asyncio.create_task(pool.fetch("SELECT 1"))
        await until_queued(pool, 1)
    assert len(await late) == 1
    await pool.close()


async def test_no_more_wait_than_the_queue_takes(server_dsn: str) -> None:
    pool = Pool(Connector(server_dsn, statement_cache=100), 1, queue=2)
    async with pool.connection():
        waiting = [asyncio.create_task(pool.fetch("SELECT 1")) for _ in range(2)]
        await until_queued(pool, 2)
        with pytest.raises(Overloaded):
            await pool.fetch("SELECT 1")
        waiting[0].cancel()
        await asyncio.wait(waiting[:1])
        waiting.append(asyncio.create_task(pool.fetch("SELECT 1")))  # somebody left
        await until_queued(pool, 2)
    assert [len(await task) for task in waiting[1:]] == [1, 1]
    await pool.close()


async def test_a_connection_that_does_not_come_to_rest_is_thrown_away(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.postgres.pool._SETTLE_SECONDS", 0.2)
    pool = Pool(Connector(proxy.dsn, statement_cache=100), 1)
    await pool.fetch("SELECT 1")
    [connection] = pool._free
    proxy.freeze()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await pool.fetch("SELECT 1")
    assert (pool.lent, pool._free) == (1, [])  # its cancellation is on its way, or is not
    await until(connection.is_closed)
    await until(lambda: pool.lent == 0)
    proxy.thaw()
    assert len(await pool.fetch("SELECT 1")) == 1
    await pool.close()


async def test_a_transaction_over_a_frozen_network_is_not_waited_for(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.postgres.pool._SETTLE_SECONDS", 0.2)
    pool = Pool(Connector(proxy.dsn, statement_cache=100), 1)
    connection, _ = await pool.begin("BEGIN", "SELECT 1")
    proxy.freeze()
    await pool.take_back(connection, 0.01)
    assert pool.lent == 1
    await until(lambda: pool.lent == 0)
    assert connection.is_closed()
    await pool.close()


async def test_callers_who_leave_while_a_statement_is_prepared_leave_nothing_behind(server_dsn: str) -> None:
    """The server would have the statement, and nobody would ever end it."""
    takes_long_to_prepare = " AND ".join(["1 = 1"] * 5_000)
    pool = Pool(Connector(server_dsn, statement_cache=5), 1)
    await pool.fetch("SELECT 1")
    for number in range(40):
        asking = asyncio.create_task(pool.fetch(f"SELECT {number} WHERE {takes_long_to_prepare}"))
        await asyncio.sleep(number * 0.000_3)
        asking.cancel()
        await asyncio.wait([asking])
        await until(lambda: pool.lent == 0)
    assert (await pool.fetch("SELECT count(*) FROM pg_prepared_statements"))[0][0] <= 6
    await pool.close()
