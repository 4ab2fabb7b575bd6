"""What callers are told of the database's failures, each raised by a real server where a server can."""

import asyncpg
import pytest

from app.errors import Overloaded, ReadOnly, ServiceUnavailable, TimedOut, Unavailable
from app.postgres.faults import Loss, fault_of, fault_of_connecting, is_interruption, is_restart, loss_of, told


async def raised(connection: asyncpg.Connection, state: str) -> Exception:
    """What the driver raises for a SQLSTATE of the server."""
    try:
        await connection.execute(f"DO $$ BEGIN RAISE EXCEPTION 'secret' USING ERRCODE = '{state}'; END $$")
    except Exception as error:
        return error
    raise AssertionError


@pytest.mark.parametrize(
    ("state", "fault"),
    [
        ("57014", TimedOut),
        ("55P03", TimedOut),
        ("25P03", TimedOut),
        ("25P04", TimedOut),
        ("25006", ReadOnly),
        ("53100", Unavailable),
        ("53200", Overloaded),
        ("53300", Overloaded),
        ("53400", Unavailable),
        ("57P01", Unavailable),
        ("57P02", Unavailable),
        ("57P03", Unavailable),
        ("57P05", Unavailable),
        ("08006", Unavailable),
        ("08P01", Unavailable),
        ("28P01", Unavailable),
        ("26000", Unavailable),
        ("42P05", Unavailable),
        ("40001", Unavailable),
        ("58030", Unavailable),
        # Defects of ours, or of the store: no caller can do anything about them.
        ("42601", None),
        ("42501", None),
        ("23505", None),
        ("22012", None),
        ("25P02", None),
        ("58P01", None),
        ("XX000", None),
    ],
)
async def test_a_failure_of_the_server_is_told_by_its_code(
    connection: asyncpg.Connection, state: str, fault: type[ServiceUnavailable] | None
) -> None:
    error = await raised(connection, state)
    told_as = fault_of(error)
    assert type(told_as) is (fault or type(None))
    if told_as is not None:
        assert "secret" not in told_as.message
        assert told_as.reason == state
        assert told_as.status == 503


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (TimeoutError(), TimedOut),
        (ConnectionRefusedError(), Unavailable),
        (ConnectionResetError(), Unavailable),
        (asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation"), Unavailable),
        (asyncpg.InterfaceError("connection is closed"), Unavailable),
        (asyncpg.InternalClientError("cannot switch to state 12; another operation (2) is in progress"), Unavailable),
        (asyncpg.InterfaceError("the server expects 1 argument for this query, 0 were passed"), None),
        (ValueError(), None),
        (KeyboardInterrupt(), None),
    ],
)
def test_a_failure_of_the_network_is_told(error: BaseException, fault: type[ServiceUnavailable] | None) -> None:
    assert type(fault_of(error)) is (fault or type(None))


def test_waiting_helps_but_against_a_server_that_takes_no_writes() -> None:
    assert all(fault.retry_after for fault in (TimedOut, Unavailable, Overloaded))
    assert ReadOnly.retry_after is None


def test_whatever_keeps_a_connection_from_being_made_is_no_defect() -> None:
    refused = asyncpg.InvalidPasswordError("password authentication failed")
    assert [type(fault_of_connecting(error)) for error in (refused, OSError(), TimeoutError(), ValueError())] == [
        Unavailable
    ] * 4
    assert type(fault_of_connecting(asyncpg.TooManyConnectionsError("full"))) is Overloaded


def lost_by(cause: Exception) -> Exception:
    error = asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "is_closed", "loss"),
    [
        (asyncpg.DivisionByZeroError("division by zero"), False, Loss.NOTHING),
        (asyncpg.DivisionByZeroError("division by zero"), True, Loss.CONNECTION),
        (asyncpg.AdminShutdownError("terminating connection"), False, Loss.CONNECTION),
        (asyncpg.QueryCanceledError("canceling statement"), False, Loss.NOTHING),
        (asyncpg.ProtocolViolationError("server conn crashed?"), False, Loss.CONNECTION),
        (lost_by(asyncpg.AdminShutdownError("terminating connection")), True, Loss.CONNECTION),
        (ConnectionResetError(), True, Loss.CONNECTION),
        (asyncpg.InvalidSQLStatementNameError("does not exist"), False, Loss.STATEMENT),
        (asyncpg.DuplicatePreparedStatementError("exists"), False, Loss.STATEMENT),
        (asyncpg.InvalidCachedStatementError("cached plan must not change result type"), False, Loss.STATEMENT),
        (asyncpg.OutdatedSchemaCacheError("changed"), False, Loss.CONNECTION),
        (asyncpg.InterfaceError("connection is closed"), True, Loss.UNSENT),
        (asyncpg.InternalClientError("cannot switch to state 12; another operation (2) is in"), True, Loss.UNSENT),
        (asyncpg.SerializationError("canceling statement due to conflict with recovery"), False, Loss.RACE),
        (asyncpg.SerializationError("terminating connection due to conflict with recovery"), True, Loss.CONNECTION),
        (TimeoutError(), True, Loss.NOTHING),
        (Unavailable(), True, Loss.NOTHING),
        (KeyboardInterrupt(), True, Loss.NOTHING),
    ],
)
def test_what_was_lost_says_whether_another_try_is_worth_it(error: BaseException, is_closed: bool, loss: Loss) -> None:
    assert loss_of(error, is_closed=is_closed) is loss


def test_a_connection_that_was_cut_off_while_it_was_made_is_worth_another_try() -> None:
    assert is_interruption(ConnectionResetError())
    assert is_interruption(lost_by(asyncpg.AdminShutdownError("terminating connection")))
    assert not is_interruption(ConnectionRefusedError())
    assert is_restart(ConnectionRefusedError())
    assert is_restart(asyncpg.CannotConnectNowError("in recovery mode"))
    assert is_restart(lost_by(asyncpg.CannotConnectNowError("starting up")))
    assert not is_restart(asyncpg.InvalidPasswordError("wrong"))
    assert not is_interruption(lost_by(asyncpg.CannotConnectNowError("starting up")))


def test_only_failures_of_the_database_are_told_in_other_words() -> None:
    with pytest.raises(TimedOut) as raised, told():
        raise asyncpg.QueryCanceledError("canceling statement")
    assert isinstance(raised.value.__cause__, asyncpg.QueryCanceledError)
    with pytest.raises(asyncpg.UndefinedTableError), told():
        raise asyncpg.UndefinedTableError("relation does not exist")
