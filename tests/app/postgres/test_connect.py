"""Connections to a real server, by itself and behind a real PgBouncer."""

import logging
import socket
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import asyncpg
import pytest

from app.postgres import connect
from app.postgres.connect import _ARRAYS, Connector, Persistence
from app.postgres.database import Database
from app.settings import Settings
from tests.pooler import needs_pgbouncer, pooler
from tests.proxy import proxied

BOUNDS = "SELECT current_setting('statement_timeout'), current_setting('idle_in_transaction_session_timeout')"


async def test_a_server_that_is_reached_directly_keeps_everything(server_dsn: str) -> None:
    assert await Connector(server_dsn, statement_cache=500).persistence() == Persistence(sessions=True, statements=True)
    async with proxied(server_dsn) as proxy:  # whatever the network is made of
        assert (await Connector(proxy.dsn, statement_cache=500).persistence()).sessions


@needs_pgbouncer
@pytest.mark.parametrize("size", [1, 10])
@pytest.mark.parametrize(("mode", "lasts"), [("session", True), ("transaction", False)])
async def test_what_a_pooler_keeps_is_found_out(server_dsn: str, mode: str, size: int, lasts: bool) -> None:
    with pooler(server_dsn, mode, size) as dsn:
        assert await Connector(dsn, statement_cache=500).persistence() == Persistence(sessions=lasts, statements=lasts)


@needs_pgbouncer
@pytest.mark.parametrize("mode", ["session", "transaction"])
async def test_a_pooler_of_one_connection_is_tried_out_with_it(server_dsn: str, mode: str) -> None:
    with pooler(server_dsn, mode, 1) as dsn:
        db = await Database.connect(Settings(database_url=dsn, token_secret="", pool_size=1))
        assert [row["one"] for row in await db.pool.fetch("SELECT 1 AS one")] == [1]
        await db.close()


async def test_the_server_bounds_statements_and_idle_transactions(server_dsn: str) -> None:
    connection = await Connector(server_dsn, statement_cache=0, seconds=7.5)()
    assert tuple(await connection.fetchrow(BOUNDS)) == ("7500ms", "7500ms")
    await connection.close()


async def test_the_server_compiles_no_plans(server_dsn: str) -> None:
    connection = await Connector(server_dsn, statement_cache=0, seconds=5)()
    assert await connection.fetchval("SELECT current_setting('jit')") == "off"
    await connection.close()


async def test_bounds_of_the_url_are_left_alone(server_dsn: str) -> None:
    url = urlsplit(server_dsn)._replace(query="statement_timeout=90s").geturl()
    connection = await Connector(url, statement_cache=0, seconds=5)()
    assert tuple(await connection.fetchrow(BOUNDS)) == ("90s", "5s")
    await connection.close()


@needs_pgbouncer
async def test_a_pooler_that_takes_no_bounds_is_told_none(server_dsn: str, caplog: pytest.LogCaptureFixture) -> None:
    with pooler(server_dsn, "session") as dsn:
        connect = Connector(dsn, statement_cache=0, seconds=5)
        for _ in range(2):
            connection = await connect()
            assert await connection.fetchval("SELECT current_setting('timezone')") == "UTC"
            await connection.close()
    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert "statement_timeout" in warnings[0].message


async def test_a_parameter_that_the_server_refuses_is_still_an_error(server_dsn: str) -> None:
    url = urlsplit(server_dsn)._replace(query="no_such_parameter=1").geturl()
    with pytest.raises(asyncpg.UndefinedObjectError):
        await Connector(url, statement_cache=0, seconds=5)()


async def test_the_system_looks_after_the_peer(server_dsn: str) -> None:
    connection = await Connector(server_dsn, statement_cache=0)()
    connected = connection._transport.get_extra_info("socket")
    assert connected.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        assert connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 5_000
    await connection.close()


async def test_statements_that_vanish_again_and_again_are_not_prepared_any_more(server_dsn: str) -> None:
    connect = Connector(server_dsn, statement_cache=500)
    for _ in range(2):
        connect.lose_statements()
    assert connect.statement_cache == 500
    connect.lose_statements()
    assert connect.statement_cache == 0
    connection = await connect()
    await connection.fetch("SELECT 1")
    assert await connection.fetchval("SELECT count(*) FROM pg_prepared_statements WHERE name <> ''") == 0
    await connection.close()


async def test_statements_that_vanish_once_in_a_while_are_prepared_again(
    server_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect = Connector(server_dsn, statement_cache=500)
    monkeypatch.setattr("app.postgres.connect._LOSSES_SECONDS", 0)
    for _ in range(10):
        connect.lose_statements()
    assert connect.statement_cache == 500


async def test_prepared_statements_are_bounded_by_what_they_take(server_dsn: str) -> None:
    text = "SELECT 1 AS c{}, '" + "x" * 1000 + "'"
    connection = await Connector(server_dsn, statement_cache=500, statement_bytes=10_000 * 130)()
    often = text.format("often")
    for number in range(300):
        await connection.fetch(text.format(number))
        await connection.fetch(often)
    kept = await connection.fetch("SELECT name, statement FROM pg_prepared_statements")
    assert sum(len(row["statement"]) for row in kept) <= 10_000 + len(often)
    assert 8 <= len(kept) <= 11
    assert often in [row["statement"] for row in kept]
    assert await connection.fetchval(text.format(0)) == 1  # which was forgotten
    await connection.close()


async def test_prepared_statements_are_bounded_in_number_too(server_dsn: str) -> None:
    connection = await Connector(server_dsn, statement_cache=5)()
    for number in range(20):
        await connection.fetch(f"SELECT {number}")
    assert await connection.fetchval("SELECT count(*) FROM pg_prepared_statements") <= 6
    await connection.close()


async def test_a_statement_above_the_bound_runs(server_dsn: str) -> None:
    connection = await Connector(server_dsn, statement_cache=5, statement_bytes=0)()
    for _ in range(2):
        assert await connection.fetchval("SELECT 1") == 1
    await connection.close()


async def test_types_of_the_schema_are_looked_up_in_one_session(server_dsn: str) -> None:
    """Where a pooler hands on sessions, that takes a transaction."""
    connection = await Connector(server_dsn, statement_cache=0)()
    await connection.execute("SET jit = on; CREATE TYPE pg_temp.mood AS ENUM ('good')")
    lookups = []

    def note(query: Any) -> None:
        if "set_config" in query.query or "typeinfo" in query.query:
            lookups.append(connection.is_in_transaction())

    connection.add_query_logger(note)
    assert await connection.fetchval("SELECT ARRAY['good'::pg_temp.mood]") == ["good"]
    assert lookups == [True, True, True]
    assert not connection.is_in_transaction()
    assert await connection.fetchval("SHOW jit") == "on"
    async with connection.transaction():
        await connection.execute("CREATE TYPE pg_temp.other AS ENUM ('bad')")
        assert await connection.fetchval("SELECT ARRAY['bad'::pg_temp.other]") == ["bad"]
        assert connection.is_in_transaction()
    assert lookups == [True] * 6
    await connection.close()


@pytest.mark.parametrize("statement_cache", [0, 500])
async def test_arrays_of_the_servers_own_types_are_not_looked_up(server_dsn: str, statement_cache: int) -> None:
    connection = await Connector(server_dsn, statement_cache=statement_cache)()
    sent: list[str] = []
    connection.add_query_logger(lambda query: sent.append(query.query))
    text = "SELECT $1::int[] AS numbers, $2::uuid[] AS keys, ARRAY[1.5, NULL] AS amounts, ARRAY[ARRAY[true]] AS flags"
    keys = [UUID(int=1)]
    for _ in range(2):
        assert tuple(await connection.fetchrow(text, [1, 2], keys)) == ([1, 2], keys, [Decimal("1.5"), None], [[True]])
    await connection.close()  # which has what is noted be told
    assert sent == [text] * 2


async def test_arrays_are_known_as_the_server_tells_of_them(server_dsn: str) -> None:
    connection = await Connector(server_dsn, statement_cache=0)()
    known = [connect._array(oid) for oid in _ARRAYS]
    rows, _ = await asyncpg.Connection._introspect_types(connection, list(_ARRAYS), None)
    told = {row["oid"]: dict(row) for row in rows}
    assert known == [{key: told[row["oid"]][key] for key in row} for row in known]
    assert len(known) == len(_ARRAYS) > 10
    await connection.close()
