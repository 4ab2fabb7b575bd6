"""What a failure of the database means: whether another connection would help, and what the caller is told.

The SQLSTATEs are those of https://www.postgresql.org/docs/current/errcodes-appendix.html. Whatever is not named here is
a defect of this service, or a refusal that whoever sent the statement knows.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import Enum, auto

import asyncpg

from app.errors import Overloaded, ReadOnly, ServiceUnavailable, TimedOut, Unavailable

# By SQLSTATE, or by its first two characters, which name its class.
_FAULTS: Mapping[str, type[ServiceUnavailable]] = {
    "08": Unavailable,  # connection exception; poolers say all of theirs by 08P01
    "25006": ReadOnly,  # read_only_sql_transaction: a standby, too
    "25P03": TimedOut,  # idle_in_transaction_session_timeout
    "25P04": TimedOut,  # transaction_timeout
    "26000": Unavailable,  # invalid_sql_statement_name: a prepared statement vanished, again and again
    "28": Unavailable,  # invalid authorization: the role was changed while the service runs
    "3D000": Unavailable,  # invalid_catalog_name: the database is gone
    "40": Unavailable,  # transaction rollback: what a read meets on a standby
    "42P05": Unavailable,  # duplicate_prepared_statement: a pooler mixes sessions
    "53": Unavailable,  # insufficient resources: the disk is full
    "53200": Overloaded,  # out_of_memory
    "53300": Overloaded,  # too_many_connections
    "55P03": TimedOut,  # lock_not_available
    "57": Unavailable,  # operator intervention: shutting down, starting up
    "57014": TimedOut,  # query_canceled: by statement_timeout, or by somebody whom it took too long
    "58000": Unavailable,  # system_error
    "58030": Unavailable,  # io_error
}
# A connection of which this is heard is of no more use, though it may not be closed yet.
_FATAL = ("08", "57P", "25P03", "25P04")
_RESTARTING = ("57P02", "57P03")  # crash_shutdown, cannot_connect_now
# The driver tells its states by words alone.
_NOTHING_SENT = re.compile("cannot switch to state|connection is closed")
_IN_USE = re.compile("another operation")


class Loss(Enum):
    """What was lost when a statement failed."""

    NOTHING = auto()
    """It failed by itself."""
    CONNECTION = auto()
    """It may have been done, or not."""
    UNSENT = auto()
    """The connection was lost before the statement was sent."""
    STATEMENT = auto()
    """The connection does not hold what was prepared on it. The statement was not done."""
    RACE = auto()
    """It was ended in favour of others; the connection is as good as before. The statement was not done."""


def loss_of(error: BaseException, *, is_closed: bool) -> Loss:
    """What `error`, raised by the driver, means for the connection; `is_closed` tells whether that is closed now."""
    if isinstance(
        error,
        asyncpg.InvalidSQLStatementNameError
        | asyncpg.DuplicatePreparedStatementError
        | asyncpg.InvalidCachedStatementError,
    ):
        return Loss.STATEMENT
    if isinstance(error, asyncpg.OutdatedSchemaCacheError):  # found in the rows: the statement was done
        return Loss.CONNECTION
    if isinstance(error, asyncpg.TransactionRollbackError) and not is_closed:
        return Loss.RACE
    if not isinstance(error, Exception) or isinstance(error, TimeoutError | ServiceUnavailable):
        return Loss.NOTHING
    if _says(error, _NOTHING_SENT) or _says(error, _IN_USE):
        return Loss.UNSENT
    return Loss.CONNECTION if is_closed or _sqlstate(error).startswith(_FATAL) else Loss.NOTHING


def is_interruption(error: Exception) -> bool:
    """Whether a connection that was being made was cut off, so that another attempt may get through."""
    if isinstance(error, ConnectionResetError | BrokenPipeError | asyncpg.ConnectionDoesNotExistError):
        return not isinstance(error.__cause__, asyncpg.PostgresError) or is_interruption(error.__cause__)
    return isinstance(error, asyncpg.AdminShutdownError)


def is_restart(error: Exception) -> bool:
    """Whether no connection could be made to a server that may be starting again, after a crash say."""
    return isinstance(error, ConnectionRefusedError) or _sqlstate(error) in _RESTARTING


def fault_of(error: BaseException) -> ServiceUnavailable | None:
    """What the caller is told of an error of the driver; None where it is none of the database's failures."""
    if isinstance(error, TimeoutError):
        return TimedOut(reason="TimeoutError")
    if isinstance(error, asyncpg.InvalidCachedStatementError | asyncpg.OutdatedSchemaCacheError):
        return Unavailable(reason=type(error).__name__)
    if state := _sqlstate(error):
        fault = _FAULTS.get(state) or _FAULTS.get(state[:2])
        return fault(reason=state) if fault else None
    is_lost = isinstance(error, OSError) or _says(error, _NOTHING_SENT)
    return Unavailable(reason=type(error).__name__) if is_lost else None


def fault_of_connecting(error: Exception) -> ServiceUnavailable:
    """The same where no connection could be made, which is no defect whatever the error."""
    fault = fault_of(error)
    if fault is None or isinstance(fault, TimedOut):
        return Unavailable(reason=_sqlstate(error) or type(error).__name__)
    return fault


@contextmanager
def told() -> Iterator[None]:
    """Raises what the caller is told in place of the driver's errors."""
    try:
        yield
    except Exception as error:
        if fault := fault_of(error):
            raise fault from error
        raise


def _says(error: BaseException, words: re.Pattern[str]) -> bool:
    is_of_driver = isinstance(error, asyncpg.InterfaceError | asyncpg.InternalClientError)
    return is_of_driver and words.search(str(error)) is not None


def _sqlstate(error: BaseException) -> str:
    """Empty where the error is not the server's. Of a lost connection, what the server said before it closed it."""
    if isinstance(error, asyncpg.ConnectionDoesNotExistError) and isinstance(error.__cause__, asyncpg.PostgresError):
        error = error.__cause__
    return (getattr(error, "sqlstate", None) or "") if isinstance(error, asyncpg.PostgresError) else ""
