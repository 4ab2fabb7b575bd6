"""What stands in the way of starting: each is one line that says what is wrong and what to do, without a password."""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import TypeVar
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

import asyncpg

from app.errors import ServiceUnavailable
from app.postgres.connect import CONNECT_SECONDS

T = TypeVar("T")

OLDEST_SERVER = 15

_WAIT_SECONDS = 10
_RETRY_SECONDS = 0.5
_SHOWN_MIGRATIONS = 3
_NO_URL = (
    "DATABASE_URL is no URL of PostgreSQL. It is postgresql://ROLE:PASSWORD@HOST:PORT/DATABASE, where special"
    " characters of the password are percent-encoded: @ is %40, / is %2F, # is %23."
)
# By SQLSTATE; `at` is the address, `role` and `database` are those of the URL, `said` is what the server says.
_REASONS: Mapping[str, str] = {
    "28P01": "PostgreSQL at {at} refuses the role {role}: the password is wrong, or there is no such role."
    " Correct DATABASE_URL.",
    "28000": "PostgreSQL at {at} does not let the role {role} in: there is no such role, or no line of pg_hba.conf"
    " fits, with or without TLS ({said}).",
    "3D000": "PostgreSQL at {at} has no database {database}: create it, or correct DATABASE_URL.",
    "42501": "The role {role} may not do this in the database {database}: {said}. Grant it, or use the owner's role.",
    "42P01": "The database {database} lacks tables: run `python -m app migrate`.",
    "25006": "PostgreSQL at {at} takes no writes: use the primary server.",
    "53100": "PostgreSQL at {at} has no space left on its disk.",
    "53300": "PostgreSQL at {at} has no connection left: raise its max_connections, or lower POOL_SIZE.",
    "57P03": "PostgreSQL at {at} is starting or stopping: try again in a moment.",
    "08P01": "PostgreSQL at {at}, or a pooler before it, refuses the connection: {said}.",
    "22023": "PostgreSQL at {at} refuses a parameter of DATABASE_URL: {said}.",
    "42704": "PostgreSQL at {at} refuses a parameter of DATABASE_URL: {said}.",
}


class StartError(Exception):
    """The service cannot start; the message is one line."""


async def check(url: str, migrations: Collection[str]) -> None:
    """Waits a little for the server, and sees that it is fit: its version, its `migrations` (names of files).

    Raises `StartError`, OSError or what asyncpg raises; see `explain`.
    """
    connection: asyncpg.Connection = await until_reachable(
        lambda: asyncpg.connect(url, timeout=CONNECT_SECONDS, statement_cache_size=0)
    )
    try:
        version = connection.get_server_version()
        if version.major < OLDEST_SERVER:
            raise StartError(f"PostgreSQL {version.major} is too old: Waybill needs {OLDEST_SERVER} or later.")
        applied: set[str] = set()
        if await connection.fetchval("SELECT to_regclass('schema_migrations') IS NOT NULL"):
            applied = {row["name"] for row in await connection.fetch("SELECT name FROM schema_migrations")}
    finally:
        connection.terminate()
    missing = sorted(set(migrations) - applied)
    if missing:
        more = f" and {len(missing) - _SHOWN_MIGRATIONS} more" if len(missing) > _SHOWN_MIGRATIONS else ""
        names = ", ".join(missing[:_SHOWN_MIGRATIONS])
        raise StartError(f"The database lacks the migrations {names}{more}: run `python -m app migrate`.")


async def until_reachable(connect: Callable[[], Awaitable[T]]) -> T:
    """What `connect` gives, tried for a while where a server may be starting at the same time. Raises as it does."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _WAIT_SECONDS
    while True:
        try:
            return await connect()
        except Exception as error:
            if not _may_be_starting(_cause(error)) or loop.time() > deadline:
                raise
        await asyncio.sleep(_RETRY_SECONDS)


def _may_be_starting(error: BaseException) -> bool:
    if isinstance(error, socket.gaierror):
        return error.errno == socket.EAI_AGAIN
    if isinstance(error, ConnectionError):
        return not _is_about_tls(error)
    return isinstance(error, TimeoutError | asyncpg.CannotConnectNowError)


def _is_about_tls(error: OSError | UnicodeError) -> bool:
    return "SSL" in str(error)


def explain(error: BaseException, url: str) -> str | None:
    """One line about what was raised while a database at `url` was to be used; None where that is not the database."""
    error = _cause(error)
    if isinstance(error, StartError):
        return str(error)
    parts = _parts(url)
    if parts is None:
        return _NO_URL
    at = _shown(parts.netloc.rpartition("@")[2]) or "the local socket"
    if isinstance(error, asyncpg.PostgresError):
        said = _shown(str(error.args[0]) if error.args else "")
        reason = _REASONS.get(error.sqlstate or "", "PostgreSQL at {at}: {said}")
        role, database = _shown(unquote(parts.username or "")), _shown(unquote(parts.path.lstrip("/")))
        return reason.format(at=at, role=role or "of this user", database=database or "of this role", said=said)
    if isinstance(error, asyncpg.TargetServerAttributeNotMatched):
        return f"No server at {at} is what target_session_attrs asks for."
    if isinstance(error, asyncpg.ClientConfigurationError):
        return f"DATABASE_URL: {_shown(str(error))}"
    if isinstance(error, OSError | UnicodeError):
        return _explain_network(error, at)
    is_of_driver = isinstance(error, asyncpg.InterfaceError | asyncpg.InternalClientError | ServiceUnavailable)
    return f"The database: {_shown(str(error))}" if is_of_driver else None


def _explain_network(error: OSError | UnicodeError, at: str) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        reason = _shown(error.verify_message)
        return f"The certificate of PostgreSQL at {at} is not trusted ({reason}): name its authority by sslrootcert."
    if isinstance(error, ssl.SSLError):
        return f"TLS with PostgreSQL at {at} fails ({_shown(error.reason or 'no reason given')}): correct sslmode."
    if _is_about_tls(error):
        return f"PostgreSQL at {at} does not speak TLS: switch it on there, or correct sslmode in DATABASE_URL."
    if isinstance(error, socket.gaierror | UnicodeError):
        return f"The host in DATABASE_URL is unknown ({at}): correct it."
    if isinstance(error, FileNotFoundError) and at != "the local socket":
        return "A file that DATABASE_URL names (sslrootcert, sslcert or sslkey) is not there."
    if isinstance(error, TimeoutError):
        return f"{at} does not answer: is it the right address in DATABASE_URL, and may this machine reach it?"
    return f"No PostgreSQL answers at {at}: start it, or correct DATABASE_URL."


def _cause(error: BaseException) -> BaseException:
    """What the pool tells callers in other words."""
    return error.__cause__ if isinstance(error, ServiceUnavailable) and error.__cause__ else error


def _parts(url: str) -> SplitResult | None:
    """None where the URL is none, or holds a password that is not encoded, whose parts could be taken for others."""
    try:
        parts = urlsplit(url)
        parse_qs(parts.query, strict_parsing=bool(parts.query))
        ports = [urlsplit(f"//{host}").port for host in parts.netloc.rpartition("@")[2].split(",")]
    except ValueError:
        return None
    rest = (parts.path, parts.query, parts.fragment)
    is_ambiguous = parts.netloc.count("@") > 1 or parts.fragment or any("@" in part for part in rest)
    return None if is_ambiguous or 0 in ports else parts


def _shown(text: str) -> str:
    """On one line, whatever it holds."""
    return " ".join("".join(character if character.isprintable() else " " for character in text).split())
