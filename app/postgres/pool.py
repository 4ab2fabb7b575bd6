"""Connections to PostgreSQL, lent to one task at a time.

asyncpg has a pool too. It wraps a connection anew for every loan and prepares for resets that no statement of ours
needs, at 13 µs of the processor a statement: more than sending the statement and reading a row. This one lends the
connections as they are. Each keeps the statements it has prepared, by their text; a loan therefore goes to the
connection that came back last, which knows most of them.

Connections get lost, and what is prepared on them, too. What only reads is then tried anew on a connection made for it,
whatever had become of the first; what writes is, if it cannot have been done. No statement has a timer, which would
cost more than all this: whoever asks stops asking when it has waited for too long (`app.http.deadline`), and its
statement is cancelled on the server. A connection of which nothing is heard even then is thrown away.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import asyncpg

from app.errors import Overloaded, ReadOnly, Unavailable
from app.postgres import connect
from app.postgres.connect import Connection
from app.postgres.faults import Loss, fault_of, fault_of_connecting, is_interruption, is_restart, loss_of

T = TypeVar("T")

Connect = Callable[[], Awaitable[Connection]]
Work = Callable[[Connection], Awaitable[T]]

# Whatever loses one connection may lose the next. Seconds before each further try, the last one again and again, and
# for how long it is tried at all.
_PAUSES = (0.0, 0.01, 0.05, 0.1)
_PATIENCE_SECONDS = 5
# A server of which one process has crashed is back within moments. One that stays away is not waited for: whoever comes
# later than this after the first who found it away is told at once.
_RESTART_SECONDS = 2
# A cancelled statement ends in milliseconds, unless the way to the server is cut.
_SETTLE_SECONDS = 3


class Pool:
    """At most `size` connections, each made by `connect` when it is first needed, and anew when it was lost.

    Who waits is served in order, up to `wait_seconds`; no more than `queue` wait. `on_vanished` is told that prepared
    statements vanished from the connections there were. `seeks_writable` tells that `connect` looks for a server that
    takes writes, so that one that no longer does is not kept. One that `has_stand_in` waits for no server that is away,
    and tries nothing again: another server does.

    A connection that is lent gives its place in `_open` back with it. What raises, raises `ServiceUnavailable` for
    whatever is no statement's own fault.
    """

    def __init__(
        self,
        connect: Connect,
        size: int,
        *,
        wait_seconds: float = 5,
        queue: int = 5_000,
        on_vanished: Callable[[], None] = lambda: None,
        seeks_writable: bool = False,
        has_stand_in: bool = False,
    ) -> None:
        self.repeated = 0  # how often something was tried anew since the start
        self.timeouts = 0  # how often somebody has waited for too long
        self._connect = connect
        self._size = size
        self._wait_seconds = wait_seconds
        self._queue = queue
        self._on_vanished = on_vanished
        self._seeks_writable = seeks_writable
        self._has_stand_in = has_stand_in
        self._open = 0
        self._free: list[Connection] = []
        self._made: set[Connection] = set()
        self._stale: set[Connection] = set()  # those that are lent, and not to be lent again
        self._waiting: OrderedDict[asyncio.Future[Connection | None], float] = OrderedDict()
        self._watch: asyncio.TimerHandle | None = None
        self._away_since: float | None = None  # by the first connection that could not be made, since one could
        self._settling: set[asyncio.Task[None]] = set()
        self._closed = False

    @property
    def lent(self) -> int:
        """How many connections are out at this moment."""
        return self._open - len(self._free)

    @property
    def idle(self) -> int:
        """How many are open and free."""
        return len(self._free)

    @property
    def size(self) -> int:
        return self._size

    @property
    def waiting(self) -> int:
        """How many wait for one."""
        return len(self._waiting)

    # -------------------------------------------------------------------------------------------- statements

    async def fetch(self, text: str, *arguments: Any) -> list[asyncpg.Record]:
        """The rows of one statement that only reads. A cancelled one is cancelled on the server."""
        # Nearly every statement comes this way, so nothing is looked at that shows by itself: a connection that was
        # lost while nobody had it fails before anything is sent.
        connection = self._free.pop() if self._free else await self._take()
        try:
            rows: list[asyncpg.Record] = await connection.fetch(text, *arguments)
        except BaseException as error:
            connection, rows = await self._again(_fetch(text, arguments), connection, error)
        if self._waiting or self._stale or self._closed:
            self.give_back(connection)
        else:
            self._free.append(connection)
        return rows

    async def fetch_once(self, text: str, *arguments: Any) -> list[asyncpg.Record]:
        """The rows of one statement that may write, and so is tried anew only where it cannot have been done."""
        return await self.run(_fetch(text, arguments), is_read=False)

    async def run(self, work: Work[T], *, is_read: bool = True) -> T:
        """What `work` makes with a connection. It is called anew where that is lost; see `fetch` and `fetch_once`."""
        connection, result = await self._lend(work, is_read)
        self.give_back(connection)
        return result

    # -------------------------------------------------------------------------------------------- transactions

    async def begin(self, text: str, first: str, *arguments: Any) -> tuple[Connection, list[asyncpg.Record]]:
        """A connection in a transaction that `text` begins, and the rows of `first`, a statement that changes nothing.

        It is the caller's until `give_back` or `take_back`.
        """

        async def start(connection: Connection) -> list[asyncpg.Record]:
            await connection.execute(text)
            rows: list[asyncpg.Record] = await connection.fetch(first, *arguments)
            return rows

        return await self._lend(start, True)

    async def take_back(self, connection: Connection, seconds: float) -> None:
        """Rolls back the transaction of a connection that was lent, whatever is under way on it, and lends it on.

        Not waited for any longer than `seconds`: what was not committed by then never will be.
        """
        if connection.is_closed():
            self.give_back(connection)
        else:
            await asyncio.wait([self._settle(connection)], timeout=seconds)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """One connection for several statements. One that comes back within a transaction is thrown away."""
        connection = await self._take()
        try:
            yield connection
        except BaseException as error:
            self._release(connection, error)
            raise
        if not connection.is_closed() and connection.is_in_transaction():
            connection.terminate()
        self.give_back(connection)

    async def close(self) -> None:
        """Closes what is free now, and the rest when it comes back. Nobody gets a connection any more."""
        self._closed = True
        if self._watch is not None:
            self._watch.cancel()
        while self._waiting:
            waiter, _ = self._waiting.popitem(last=False)
            if not waiter.done():
                waiter.set_exception(_closed())
        for task in self._settling:
            task.cancel()
        free, self._free = self._free, []
        await asyncio.gather(*self._settling, *map(connect.close, free), return_exceptions=True)

    # -------------------------------------------------------------------------------------------- lending

    async def _lend(self, work: Work[T], is_read: bool) -> tuple[Connection, T]:
        """A connection, which stays lent, and what `work` makes with it."""
        connection = await self._take()
        try:
            return connection, await work(connection)
        except BaseException as error:
            return await self._again(work, connection, error, is_read=is_read)

    async def _take(self) -> Connection:
        while self._free:
            connection = self._free.pop()
            if not connection.is_closed():
                return connection
            self._open -= 1
            self._forget(connection)
        if self._closed:
            raise _closed()
        if self._open < self._size:
            self._open += 1
        elif returned := await self._wait():
            return returned
        try:
            return await self._make()
        except BaseException:
            self._pass_on(None)
            raise

    async def _wait(self) -> Connection | None:
        """A connection that came back; None is the place of one that was lost. Raises `Overloaded`."""
        if len(self._waiting) >= self._queue:
            raise Overloaded(reason="queue")
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[Connection | None] = loop.create_future()
        self._waiting[waiter] = loop.time()
        if self._watch is None:
            self._watch = loop.call_later(self._wait_seconds, self._refuse)
        try:
            return await waiter
        except asyncio.CancelledError:
            # It may have been given one just before it was told to stop.
            if self._waiting.pop(waiter, None) is None and not waiter.cancelled() and not waiter.exception():
                self._pass_on(waiter.result())
            raise

    def _refuse(self) -> None:
        """Refuses those who have waited for too long, and looks again when the next one will have. Their one timer."""
        self._watch = None
        loop = asyncio.get_running_loop()
        while self._waiting:
            waiter, since = next(iter(self._waiting.items()))
            left = since + self._wait_seconds - loop.time()
            if left > 0:
                self._watch = loop.call_later(left, self._refuse)
                return
            del self._waiting[waiter]
            if not waiter.done():
                self.timeouts += 1
                waiter.set_exception(Overloaded(reason="wait"))

    async def _make(self) -> Connection:
        """Into a place that is counted already, and stays so. Raises `ServiceUnavailable`."""
        for pause in _pauses():
            try:
                connection = await self._connect()
            except Exception as error:
                is_over = pause is None or self._has_stand_in
                if is_over or not (is_interruption(error) or self._may_be_back(error)):
                    raise fault_of_connecting(error) from error
                await asyncio.sleep(pause or 0)
            else:
                break
        self._away_since = None
        self._made.add(connection)
        return connection

    def _may_be_back(self, error: Exception) -> bool:
        if not is_restart(error):
            return False
        now = time.monotonic()
        self._away_since = now if self._away_since is None else self._away_since
        return now - self._away_since < _RESTART_SECONDS

    def give_back(self, connection: Connection) -> None:
        """Ends a loan. The connection is at rest, or closed."""
        if self._closed or (self._stale and connection in self._stale):
            connection.terminate()
        if connection.is_closed():
            self._forget(connection)
            self._pass_on(None)
        else:
            self._pass_on(connection)

    def _pass_on(self, connection: Connection | None) -> None:
        """To the first who waits, or to those who come; None is a place without a connection."""
        while self._waiting:
            waiter, _ = self._waiting.popitem(last=False)
            if not waiter.done():
                waiter.set_result(connection)
                return
        if connection is None:
            self._open -= 1
        else:
            self._free.append(connection)

    def _forget(self, connection: Connection) -> None:
        self._made.discard(connection)
        self._stale.discard(connection)

    # -------------------------------------------------------------------------------------------- when something fails

    async def _again(
        self, work: Work[T], connection: Connection, error: BaseException, *, is_read: bool = True
    ) -> tuple[Connection, T]:
        """The same as `_lend`, after `work` has failed with `error` on a connection that was lent for it."""
        try:
            for pause in _pauses():
                loss = loss_of(error, is_closed=connection.is_closed())
                if pause is None or loss is Loss.NOTHING or (loss is Loss.CONNECTION and not is_read):
                    break
                if self._has_stand_in and loss is not Loss.STATEMENT:
                    break
                try:
                    connection = await self._replace(connection, loss, pause)
                    return connection, await work(connection)
                except BaseException as next_error:
                    error = next_error
            fault = fault_of(error)
            if isinstance(fault, ReadOnly):
                self.leave_read_only(connection)
            self._release(connection, error)
            if fault is not None:
                raise fault from error
            raise error
        finally:
            del error  # whose traceback holds this frame: a circle

    async def _replace(self, connection: Connection, loss: Loss, pause: float) -> Connection:
        """A connection for another try, in the place of one of which `loss` tells."""
        self.repeated += 1
        if loss is Loss.STATEMENT:
            self.lose_statements(connection)
        if pause:
            await asyncio.sleep(pause)
        if loss is Loss.RACE:
            return connection
        connection.terminate()
        made = await self._make()
        self._forget(connection)
        return made

    def lose_statements(self, connection: Connection) -> None:
        """What was prepared has vanished from a connection that is lent."""
        if connection not in self._stale:
            self._renew()
            self._on_vanished()

    def leave_read_only(self, connection: Connection) -> None:
        """The server of a connection that is lent takes no writes: perhaps another does by now."""
        if self._seeks_writable and connection not in self._stale:
            self._renew()

    def abandon(self) -> None:
        """The server is gone, or is another one: whoever has a connection to it learns so at once."""
        for connection in self._made:
            connection.terminate()
        self._renew()

    def _renew(self) -> None:
        """What has happened to one connection has happened to all that were made before: none of them is lent again."""
        self._stale |= self._made
        while self._free:
            connection = self._free.pop()
            connection.terminate()
            self._open -= 1
            self._forget(connection)

    def _release(self, connection: Connection, error: BaseException) -> None:
        """Ends the loan of a connection on which `error` has happened."""
        at_rest = isinstance(error, asyncpg.PostgresError) and not connection.is_in_transaction()
        if connection.is_closed() or at_rest:
            self.give_back(connection)
        else:
            self._settle(connection)

    def _settle(self, connection: Connection) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(self._come_to_rest(connection))
        self._settling.add(task)
        task.add_done_callback(self._settling.discard)
        return task

    async def _come_to_rest(self, connection: Connection) -> None:
        """Gives a connection back when its statement has ended and its transaction is taken back, or without it."""
        try:
            async with asyncio.timeout(_SETTLE_SECONDS):
                await connection.execute("ROLLBACK" if connection.is_in_transaction() else "SELECT")
                if connection.is_in_transaction():  # which was on its way
                    await connection.execute("ROLLBACK")
                await connection.deallocate_unknown()
        except Exception:  # whatever it is, it is nothing that anybody else should meet
            connection.terminate()
        except BaseException:
            connection.terminate()
            raise
        finally:
            self.give_back(connection)


def _pauses() -> Iterator[float | None]:
    """Seconds before one try after another; None where it is time to give up."""
    until = time.monotonic() + _PATIENCE_SECONDS
    yield from _PAUSES
    while time.monotonic() < until:
        yield _PAUSES[-1]
    while True:
        yield None


def _fetch(text: str, arguments: tuple[Any, ...]) -> Work[list[asyncpg.Record]]:
    async def fetch(connection: Connection) -> list[asyncpg.Record]:
        rows: list[asyncpg.Record] = await connection.fetch(text, *arguments)
        return rows

    return fetch


def _closed() -> Unavailable:
    return Unavailable(reason="the pool is closed")
