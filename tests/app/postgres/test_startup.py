"""Each thing that can be wrong with the database at the start: one line that says which, and never the password."""

import asyncio
import socket
import ssl
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from app.errors import Unavailable
from app.postgres import startup
from app.postgres.migrate import migrations
from app.postgres.startup import StartError, check, explain, until_reachable

SECRET = "s3cr3t"


async def why(url: str) -> str:
    try:
        await check(url, migrations())
    except Exception as error:
        line = explain(error, url)
        assert line is not None
        assert "\n" not in line
        assert SECRET not in line
        return line
    raise AssertionError


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(startup, "_WAIT_SECONDS", 0)


async def test_a_good_database_is_no_matter(fresh_dsn: str) -> None:
    await check(fresh_dsn, migrations())


async def test_migrations_that_are_missing_are_named(fresh_dsn: str, server_dsn: str) -> None:
    assert (await why(server_dsn)).startswith("The database lacks the migrations 0001_store.sql, ")
    with pytest.raises(StartError, match=r"lacks the migrations 9999_future\.sql: run `python -m app migrate`\."):
        await check(fresh_dsn, [*migrations(), "9999_future.sql"])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"account": f"waybill:{SECRET}"}, "refuses the role waybill"),
        ({"account": f"nobody_at_all:{SECRET}"}, "no such role"),
        ({"path": "/no_such_database"}, "has no database no_such_database"),
        ({"host": "no-such-host.invalid"}, "The host in DATABASE_URL is unknown"),
        ({"host": "127.0.0.1:1"}, "No PostgreSQL answers at 127.0.0.1:1"),
        ({"host": "127.0.0.1:1,127.0.0.1:2"}, "No PostgreSQL answers at 127.0.0.1:1,127.0.0.1:2"),
        ({"query": "sslmode=require"}, "does not speak TLS"),
        ({"query": "sslmode=sometimes"}, "sslmode"),
        ({"query": "sslmode=verify-full&sslrootcert=/no/such/file"}, "file that DATABASE_URL names"),
        ({"query": "target_session_attrs=standby"}, "target_session_attrs"),
        ({"query": "no_such_parameter=1"}, "no_such_parameter"),
        ({"query": "nonsense"}, "is no URL"),
        ({"host": "127.0.0.1:port"}, "is no URL"),
        ({"host": "[::1"}, "is no URL"),
        ({"account": f"waybill:{SECRET}/more"}, "percent-encoded"),
        ({"account": f"waybill:{SECRET}@more"}, "percent-encoded"),
        ({"account": f"waybill:12/{SECRET}"}, "percent-encoded"),
        ({"account": f"waybill:{SECRET}#more"}, "percent-encoded"),
    ],
)
async def test_what_is_wrong_is_named(server_dsn: str, change: dict[str, str], words: str) -> None:
    url = urlsplit(server_dsn)
    account, _, host = url.netloc.rpartition("@")
    if "account" in change and await takes_any_password(server_dsn):
        pytest.skip("this server asks for no password")
    netloc = f"{change.get('account', account)}@{change.get('host', host)}"
    query, path = change.get("query", ""), change.get("path", url.path)
    assert words in await why(f"postgresql://{netloc}{path}{'?' if query else ''}{query}")


async def takes_any_password(server_dsn: str) -> bool:
    url = urlsplit(server_dsn)
    role, host = (url.username or ""), url.netloc.rpartition("@")[2]
    try:
        connection = await asyncpg.connect(url._replace(netloc=f"{role}:{SECRET}@{host}").geturl())
    except asyncpg.InvalidPasswordError:
        return False
    await connection.close()
    return True


async def test_a_server_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(startup, "CONNECT_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # nobody accepts
        assert "does not answer" in await why(f"postgresql://waybill:{SECRET}@127.0.0.1:{silent.getsockname()[1]}/x")


async def test_a_certificate_that_is_not_trusted_is_named(tmp_path: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(self_signed(tmp_path))
    trusted = self_signed(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = asyncio.create_task(asyncio.to_thread(shake_hands, listener, context))
        at = f"127.0.0.1:{listener.getsockname()[1]}"
        url = f"postgresql://waybill:{SECRET}@{at}/waybill?sslmode=verify-ca&sslrootcert={trusted}"
        assert f"The certificate of PostgreSQL at {at} is not trusted" in await why(url)
        await serving


def shake_hands(listener: socket.socket, context: ssl.SSLContext) -> None:
    """As much of PostgreSQL's protocol as there is before a certificate is refused."""
    connection, _ = listener.accept()
    with connection:
        assert len(connection.recv(8)) == 8
        connection.sendall(b"S")
        with suppress(ssl.SSLError):
            context.wrap_socket(connection, server_side=True).close()


def self_signed(folder: Path) -> Path:
    """A certificate with its key in one file, different each time."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "server.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return path


async def test_a_server_that_starts_at_the_same_time_is_waited_for(
    server_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(startup, "_WAIT_SECONDS", 60)
    monkeypatch.setattr(startup, "_RETRY_SECONDS", 0)
    errors: list[Exception] = [
        ConnectionRefusedError(),
        asyncpg.CannotConnectNowError("the database system is starting up"),
        Unavailable(),
    ]
    errors[-1].__cause__ = ConnectionResetError()

    async def connect() -> asyncpg.Connection:
        if errors:
            raise errors.pop(0)
        return await asyncpg.connect(server_dsn)

    connection = await until_reachable(connect)
    await connection.close()
    assert not errors


async def test_what_will_not_change_by_itself_is_not_waited_for(
    server_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(startup, "_WAIT_SECONDS", 3600)
    url = urlsplit(server_dsn)._replace(path="/no_such_database").geturl()
    async with asyncio.timeout(30):
        assert "no_such_database" in await why(url)


def test_what_is_not_the_databases_is_not_explained(server_dsn: str) -> None:
    assert explain(ValueError("a defect"), server_dsn) is None
