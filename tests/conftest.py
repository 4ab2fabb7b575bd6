"""A real PostgreSQL for every test: `DATABASE_URL` where it is set, the embedded server otherwise.

Reads share one seeded database per worker; a test that writes takes a clone of a template, which costs 40 ms of the
processor. Those that do no more than ask share an application, its connections and their loop as well, whose first
answer would cost 30 ms: see `shares`.
"""

import asyncio
import gc
import os
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from functools import partial
from inspect import isasyncgenfunction, iscoroutinefunction
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import httpx
import pytest
import pytest_asyncio
from argon2 import PasswordHasher
from starlette.applications import Starlette
from starlette.types import ASGIApp

from app.asgi import create_app
from app.auth import password
from app.auth.token import Tokens
from app.demo import fixtures
from app.http.deadline import Deadlines
from app.http.rate_limit import RateLimits, Windows
from app.postgres.database import Database
from app.postgres.migrate import migrate
from app.serve.process import GC_THRESHOLDS
from app.settings import Settings
from tests import server
from tests.server import Databases

# What makes it dear to guess a password protects nobody here: 60 ms of the processor for each that is told.
CheapHasher = partial(PasswordHasher, time_cost=1, memory_cost=8, parallelism=1)
password.PasswordHasher = CheapHasher  # type: ignore[misc,assignment]

# httpx looks for it with each request, in every directory of the path.
sys.modules.setdefault("sniffio", None)  # type: ignore[arg-type]

# With POOLER=transaction (or session) every service of the tests comes to the database through a PgBouncer, which this
# names for the workers.
POOLED = "WAYBILL_TEST_POOLED"
SERVER = pytest.StashKey[ExitStack]()
GENERATED_ORDERS = 150
FAR_TOO_LONG = 60  # seconds, on any machine, for what is known to come
NEVER = 3_600
TOKEN_SECRET = "a secret of the tests, of thirty-two bytes and more"
READER_SCOPES = "orders:read shipments:read"
WRITER_SCOPES = f"{READER_SCOPES} orders:write shipments:write carriers:write webhooks:write"

# The names by which tests call viewers; the ids are those of the fixtures.
SUBJECTS = {
    "staff": "staff:1",
    "editor": "staff:2",
    "logistics": "staff:3",
    "overrider": "staff:4",
    "partner": "partner:1",
    "contact": "contact:4",
    "daughter": "contact:5",
    "outsider": "contact:6",
    "two-companies": "contact:7",
}
STAFF_SCOPES = {
    "staff": READER_SCOPES,
    "editor": WRITER_SCOPES,
    "logistics": "carriers:write",
    "overrider": f"{WRITER_SCOPES} shipments:override",
}
# What the demo's rows have beside what its own printouts name (`app.demo.fixtures`).
NORTHWIND_STOREFRONT_KEY = "pk_storefront_demo_northwind"
PARTNER_READ_KEY = "pk_partner_demo_read"
OTHER_CUSTOMER_EMAIL, OTHER_CUSTOMER_PASSWORD = "jane@example.com", "waybill-demo-jane"
SUSPENDED_EMAIL, SUSPENDED_PASSWORD = "suspended@example.com", "waybill-demo-suspended"
NORTHWIND_KEY = "pk_partner_of_northwind_alone"
NORTHWIND_WRITER_KEY = "pk_partner_who_writes_northwind_alone"
HOFSTRA_WRITER_KEY = "pk_partner_who_writes_hofstra_alone"
API_KEYS = {
    "apikey": fixtures.PARTNER_KEY,
    "read-only": PARTNER_READ_KEY,
    "northwind": NORTHWIND_KEY,
    "northwind-writer": NORTHWIND_WRITER_KEY,
    "hofstra-writer": HOFSTRA_WRITER_KEY,
}
# Customers come with the key of their shop; the ids of their sessions are such as the database never gives by itself.
CUSTOMERS = {"john": 1, "jane": 2, "suspended": 3}
PASSWORDS = {
    "john": fixtures.CUSTOMER_PASSWORD,
    "jane": OTHER_CUSTOMER_PASSWORD,
    "suspended": SUSPENDED_PASSWORD,
}
FIRST_SESSION = 10**15
KEY_HEADER = "X-STOREFRONT-KEY"

GraphQL = Callable[..., Awaitable[dict[str, Any]]]
ConnectionTo = Callable[[str], Awaitable[asyncpg.Connection]]


def pytest_configure(config: pytest.Config) -> None:
    """Starts one server for all workers; they find it in their environment."""
    if hasattr(config, "workerinput") or config.option.collectonly:
        return
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # or each process that a test starts compiles all modules anew
    server.begin_run()
    stack = config.stash[SERVER] = ExitStack()
    if dsn := os.environ.get("DATABASE_URL"):
        stack.callback(server.end_run, dsn)
    else:
        os.environ["PGSSLMODE"] = "disable"  # or every connection asks for it first
        dsn = os.environ["DATABASE_URL"] = stack.enter_context(server.temporary()).dsn
    if mode := os.environ.get("POOLER"):
        from tests.pooler import pooler

        os.environ[POOLED] = urlsplit(stack.enter_context(pooler(dsn, mode))).netloc


def pytest_unconfigure(config: pytest.Config) -> None:
    if stack := config.stash.get(SERVER, None):
        stack.close()


def pytest_collection_finish() -> None:
    """Spares the garbage collector what lives as long as the process, as the service does."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)


@pytest.fixture(scope="session")
def server_dsn() -> str:
    return os.environ["DATABASE_URL"]


@pytest.fixture(scope="session")
def databases(server_dsn: str) -> Iterator[Databases]:
    databases = Databases(server_dsn)
    yield databases
    databases.close()


@pytest.fixture(scope="session")
def empty_template(databases: Databases) -> str:
    """The DSN of a migrated database without rows. Nobody may stay connected to it."""

    async def fill(dsn: str) -> None:
        await migrate(dsn)
        await server.compact(dsn)

    return databases.shared("empty", "template1", fill)


@pytest.fixture(scope="session")
def demo_template(databases: Databases, empty_template: str) -> str:
    """The DSN of a database with the fixtures and some generated orders. Nobody may stay connected to it."""
    from app.demo import generate

    async def fill(dsn: str) -> None:
        await fixtures.load(dsn)
        await generate.generate(dsn, orders=GENERATED_ORDERS, seed=1)
        await _add_viewers(dsn)
        await server.administer(dsn, "SELECT give_positions(1000000)")
        await server.administer(dsn, "ANALYZE")
        await server.compact(dsn)

    return databases.shared("demo", empty_template, fill)


async def _add_viewers(dsn: str) -> None:
    """Viewers that the fixtures lack; for each of `CUSTOMERS` a session, so that reading tests need not log in, and a
    hash of the password that costs little."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.executemany(
            "UPDATE customers SET password_hash = $2 WHERE id = $1",
            [(CUSTOMERS[name], CheapHasher().hash(text)) for name, text in PASSWORDS.items()],
        )
        await connection.execute(
            "UPDATE contacts SET password_hash = $1 WHERE id = 4", CheapHasher().hash(fixtures.CONTACT_PASSWORD)
        )
        await connection.executemany(
            "INSERT INTO customer_sessions (id, channel_id, customer_id, expires_at) OVERRIDING SYSTEM VALUE"
            " VALUES ($1, 1, $2, now() + interval '7 days')",
            [(FIRST_SESSION + customer_id, customer_id) for customer_id in CUSTOMERS.values()],
        )
        await connection.execute(
            """
            INSERT INTO contacts (id, channel_id, email) VALUES (7, 1, 'two-companies@example.com');
            INSERT INTO contact_companies (contact_id, channel_id, company_id) VALUES (7, 1, 3), (7, 1, 4);
            """
        )
        await connection.execute(
            """
            WITH key AS (
              INSERT INTO api_keys (name, key_hash, scopes)
              VALUES ('northwind alone', sha256(convert_to($1, 'UTF8')), '{orders:read,shipments:read}')
              RETURNING id
            )
            INSERT INTO api_key_channels (api_key_id, channel_id) SELECT id, 2 FROM key
            """,
            NORTHWIND_KEY,
        )
        await connection.execute(
            """
            WITH key AS (
              INSERT INTO api_keys (name, key_hash, scopes)
              SELECT w.name, sha256(convert_to(w.key, 'UTF8')), string_to_array($3, ' ')
              FROM (VALUES ('northwind writer', $1), ('hofstra writer', $2)) AS w (name, key)
              RETURNING id, name
            ), channel AS (
              INSERT INTO api_key_channels (api_key_id, channel_id)
              SELECT id, CASE name WHEN 'northwind writer' THEN 2 ELSE 1 END FROM key
            )
            INSERT INTO api_key_companies (api_key_id, channel_id, company_id)
            SELECT id, 1, 4 FROM key WHERE name = 'hofstra writer'
            """,
            NORTHWIND_WRITER_KEY,
            HOFSTRA_WRITER_KEY,
            WRITER_SCOPES,
        )
    finally:
        await connection.close()


@pytest.fixture(scope="session")
def demo_dsn(databases: Databases, demo_template: str) -> str:
    """The demo database that the tests of a worker share: for reading only."""
    return databases.create(demo_template)


@pytest.fixture
def fresh_dsn(databases: Databases, empty_template: str) -> Iterator[str]:
    """A migrated database without rows, for one test."""
    dsn = databases.create(empty_template)
    yield dsn
    databases.drop(dsn)


@pytest.fixture
def demo_copy_dsn(databases: Databases, demo_template: str) -> Iterator[str]:
    """A demo database for one test to write to."""
    dsn = databases.create(demo_template)
    yield dsn
    databases.drop(dsn)


@pytest.fixture
async def connection_to() -> AsyncIterator[ConnectionTo]:
    """Connects to a database, until the end of the test."""
    async with AsyncExitStack() as stack:

        async def connect(dsn: str) -> asyncpg.Connection:
            connection = await asyncpg.connect(dsn)
            stack.push_async_callback(connection.close)
            return connection

        yield connect


# Whoever changes the modules that are loaded, or reads what they print, does so beside nobody.
OWN = {"caplog", "capsys", "monkeypatch"}
# Fixtures that there are for tests that share, and for the others.
SHARED = {"app", "connection", "refused"}


def shares(test: pytest.Function, fixtures: Mapping[str, Sequence[pytest.FixtureDef[Any]]]) -> bool:
    """Whether a test does no more than ask, so that it may run on what others have run on before.

    A test has its own application by naming `app`, or a fixture that does; it has its own of everything where a fixture
    lives on the loop of the test, or is another one than here.
    """
    names_app = {name for name, (*_, fixture) in fixtures.items() if "app" in fixture.argnames} - {"client"}
    return (
        not names_app
        and "app" not in test._fixtureinfo.argnames
        and OWN.isdisjoint(fixtures)
        and all(
            len(defined) == 1 and not iscoroutinefunction(defined[0].func) and not isasyncgenfunction(defined[0].func)
            for defined in fixtures.values()
        )
    )


@pytest.hookimpl(tryfirst=True)
def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Has the tests that share run on the one loop of a worker, before it is settled which loops there are."""
    fixtures = metafunc._arg2fixturedefs
    if not SHARED.isdisjoint(fixtures) and shares(metafunc.definition, fixtures):
        mark = pytest.mark.asyncio(loop_scope="session")
        mark(metafunc.function)
        metafunc.definition.add_marker(mark)


def is_shared(node: pytest.Item) -> bool:
    mark = node.get_closest_marker("asyncio")
    return mark is not None and "loop_scope" in mark.kwargs


@pytest.fixture
def connection(request: pytest.FixtureRequest, demo_dsn: str) -> asyncpg.Connection:
    """A connection to the shared demo database."""
    return request.getfixturevalue("shared_connection" if is_shared(request.node) else "own_connection")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def workers_connection(demo_dsn: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(demo_dsn)
    yield connection
    await connection.close()


@pytest_asyncio.fixture(loop_scope="session")
async def shared_connection(workers_connection: asyncpg.Connection) -> AsyncIterator[asyncpg.Connection]:
    yield workers_connection
    await workers_connection.reset()


@pytest.fixture
async def own_connection(demo_dsn: str, connection_to: ConnectionTo) -> asyncpg.Connection:
    return await connection_to(demo_dsn)


@pytest.fixture
async def copy_connection(demo_copy_dsn: str, connection_to: ConnectionTo) -> asyncpg.Connection:
    """A connection to the demo database that a test writes to."""
    return await connection_to(demo_copy_dsn)


@pytest.fixture
async def other(demo_copy_dsn: str, connection_to: ConnectionTo) -> asyncpg.Connection:
    """A second connection beside `copy_connection`."""
    return await connection_to(demo_copy_dsn)


async def until(condition: Callable[[], bool]) -> None:
    """Waits for what a server does in its own time."""
    async with asyncio.timeout(FAR_TOO_LONG):
        while not condition():  # noqa: ASYNC110  what is waited for sets no event
            await asyncio.sleep(0.001)


async def until_blocked(holder: asyncpg.Connection, number: int = 1) -> list[int]:
    """The processes of the statements that wait for what `holder` has locked, as soon as there are so many."""
    async with asyncio.timeout(FAR_TOO_LONG):
        while len(pids := await blocked_by(holder)) < number:  # noqa: ASYNC110
            await asyncio.sleep(0.002)  # nobody tells that a statement waits
    return pids


async def until_waiting(holder: asyncpg.Connection, number: int) -> list[int]:
    """The processes of the statements that wait for what `holder` has locked, when they are exactly so many."""
    async with asyncio.timeout(FAR_TOO_LONG):
        while len(pids := await blocked_by(holder)) != number:  # noqa: ASYNC110
            await asyncio.sleep(0.002)  # nobody tells that a statement waits
    return pids


async def blocked_by(holder: asyncpg.Connection) -> list[int]:
    """The processes of the statements that wait at this moment for what `holder` has locked."""
    # Within a transaction pg_stat_activity stays as it was at first; pg_locks does not.
    waiting = "SELECT array(SELECT DISTINCT pid FROM pg_locks WHERE NOT granted AND $1 = ANY (pg_blocking_pids(pid)))"
    return list(await holder.fetchval(waiting, holder.get_server_pid()))


@asynccontextmanager
async def locked(dsn: str, *tables: str) -> AsyncIterator[asyncpg.Connection]:
    """Who has locked these tables: nobody reads them meanwhile."""
    connection = await asyncpg.connect(dsn)
    try:
        async with connection.transaction():
            await connection.execute(f"LOCK TABLE {', '.join(tables)}")
            yield connection
    finally:
        await connection.close()


async def until_gone(observer: asyncpg.Connection, pids: list[int]) -> None:
    """Returns when none of these processes of the server is there any more. Not for use within a transaction."""
    present = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = ANY ($1))"
    async with asyncio.timeout(FAR_TOO_LONG):
        while await observer.fetchval(present, pids):  # noqa: ASYNC110
            await asyncio.sleep(0.002)


@contextmanager
def reserved_port() -> Iterator[int]:
    """A port of 127.0.0.1 that the system gives to nobody else meanwhile: whoever is told of it may listen there.

    It belongs to a socket that does not listen. Linux lets others bind beside it who reuse addresses, as servers do,
    and does not take the port for one that is free; elsewhere it is only known to have been free.
    """
    with socket.socket() as reservation:
        reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reservation.bind(("127.0.0.1", 0))
        port: int = reservation.getsockname()[1]
        if sys.platform != "linux":
            reservation.close()
        yield port


def is_listening(port: int) -> bool:
    """Whether somebody accepts at a port of 127.0.0.1."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def settings_for(dsn: str, **changes: Any) -> Settings:
    """Those of a service on that database: through the pooler, where all are to go through one."""
    parts = urlsplit(dsn)
    if POOLED in os.environ and parts.netloc == urlsplit(os.environ["DATABASE_URL"]).netloc:
        changes = {"listen_url": dsn, **changes}
        dsn = parts._replace(netloc=os.environ[POOLED]).geturl()
    return Settings(database_url=dsn, token_secret=TOKEN_SECRET, **changes)


def credentials(viewer: str | None, settings: Settings) -> dict[str, str]:
    """The headers with which a viewer of `SUBJECTS`, `API_KEYS` or `CUSTOMERS` comes; none for None.

    A `stranger` has the key of the shop and no more.
    """
    if viewer is None:
        return {}
    if viewer == "stranger":
        return {KEY_HEADER: fixtures.STOREFRONT_KEY}
    if viewer in CUSTOMERS:
        customer_id = CUSTOMERS[viewer]
        session_id = str(FIRST_SESSION + customer_id)
        token = Tokens(settings).issue(f"customer:{customer_id}", jti=session_id)
        return {KEY_HEADER: fixtures.STOREFRONT_KEY, "Authorization": f"Bearer {session_id}|{token}"}
    if viewer in API_KEYS:
        return {"apikey": API_KEYS[viewer]}
    scope = {"scope": STAFF_SCOPES[viewer]} if viewer in STAFF_SCOPES else {}
    return {"Authorization": f"Bearer {Tokens(settings).issue(SUBJECTS[viewer], **scope)}"}


class Aging(Deadlines):
    """Deadlines that come when a test says so: however slow the machine is, nothing is late before."""

    def expire(self) -> None:
        """The time of all that is under way is up."""
        for work in self.running:
            work.since -= self._seconds
        if self.timer:
            self.timer.cancel()
        self._look()

    async def expire_until(self, condition: Callable[[], bool]) -> None:
        """For callers who ask again and again."""
        async with asyncio.timeout(FAR_TOO_LONG):
            while not condition():
                self.expire()
                await asyncio.sleep(0.05)


@pytest.fixture
def deadlines(monkeypatch: pytest.MonkeyPatch) -> Aging:
    """Those of the application that is made next, in place of `DEADLINE`; what the server bounds is not changed."""
    deadlines = Aging(NEVER)
    monkeypatch.setattr("app.asgi.Deadlines", lambda _seconds: deadlines)
    return deadlines


class ForgetfulLimits(RateLimits):
    def forget(self) -> None:
        self._own = Windows()


RATE_LIMITS = ForgetfulLimits()


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Starlette]:
    """The application between start-up and shutdown."""
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        yield app


@pytest.fixture
def app(request: pytest.FixtureRequest, demo_dsn: str) -> Starlette:
    """The real application on the shared demo database."""
    if not is_shared(request.node):
        return request.getfixturevalue("own_app")
    RATE_LIMITS.forget()
    return request.getfixturevalue("shared_app")


@pytest.fixture
async def own_app(demo_dsn: str) -> AsyncIterator[Starlette]:
    async with running(settings_for(demo_dsn)) as app:
        yield app


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def shared_app(demo_dsn: str) -> AsyncIterator[Starlette]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("app.asgi.RateLimits", lambda *_: RATE_LIMITS)
        app = create_app(settings_for(demo_dsn))
    async with app.router.lifespan_context(app):
        yield app


@pytest.fixture
async def copy(demo_copy_dsn: str) -> AsyncIterator[Starlette]:
    """The same on a demo database for one test to write to."""
    async with running(settings_for(demo_copy_dsn)) as app:
        yield app


@pytest.fixture
async def db(app: Starlette) -> Database:
    """The application's own database; `db.statements` tells what a request cost, whatever came before.

    Nothing listens to it any more, so no row is kept from one request to the next.
    """
    database: Database = app.state.db
    await database.events.close()
    return database


def calling(app: ASGIApp) -> httpx.AsyncClient:
    """A client of an application, without a socket between."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://waybill.test")


def connecting(**options: Any) -> httpx.AsyncClient:
    """A client of a service on this machine. It loads no certificates, which takes longer than many requests."""
    return httpx.AsyncClient(verify=False, **{"timeout": FAR_TOO_LONG, **options})


@pytest.fixture
def client(app: Starlette) -> httpx.AsyncClient:
    return calling(app)


@pytest.fixture
def graphql(client: httpx.AsyncClient, demo_dsn: str) -> GraphQL:
    """Posts a document as a viewer and returns the answer's JSON."""
    settings = settings_for(demo_dsn)

    async def post(
        query: str,
        variables: dict[str, Any] | None = None,
        *,
        viewer: str | None = "staff",
        path: str = "/graphql",
        **body: Any,
    ) -> dict[str, Any]:
        response = await client.post(
            path, json={"query": query, "variables": variables, **body}, headers=credentials(viewer, settings)
        )
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = response.json()
        return answer

    return post
