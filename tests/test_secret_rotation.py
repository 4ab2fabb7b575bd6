"""Secrets are replaced while the service runs, each without a request that fails, and the former one opens nothing."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import httpx
import pytest

from app.auth.token import Tokens
from app.errors import NotAuthenticated
from app.settings import Settings
from tests.app.admin.conftest import Operate, operate
from tests.conftest import READER_SCOPES, TOKEN_SECRET, connecting
from tests.service import serving
from tests.test_key_rotation import QUERY, Load, SigningKey

NEW_SECRET = "another secret of the tests, of thirty-two bytes and more"

__all__ = ["operate"]


class OwnSecret(SigningKey):
    """Tokens of the service itself, as it would give them out with a secret."""

    def __init__(self, secret: str) -> None:
        self._tokens = Tokens(Settings(database_url="", token_secret=secret))
        self.kept = self.token()

    def token(self, **_given: str) -> str:
        return self._tokens.issue("staff:1", timedelta(hours=1), scope=READER_SCOPES)


class Keys(Load):
    """Callers with API keys in place of tokens."""

    async def ask(self, client: httpx.AsyncClient, token: str) -> str:
        response = await client.post(self._url, json=QUERY, headers={"apikey": token})
        return "" if response.status_code == 200 and "errors" not in response.json() else response.text


class OneKey(SigningKey):
    def __init__(self, text: str) -> None:
        self.kept = text

    def token(self, **_given: str) -> str:
        return self.kept


def replace(path: Path, text: str) -> None:
    new = path.with_suffix(".new")
    new.write_text(text)
    new.replace(path)


async def until_refused(load: Load, client: httpx.AsyncClient, token: str) -> str:
    while not (answer := await load.ask(client, token)):
        await load.all_ask_again()
    return answer


async def test_secret_of_tokens_is_replaced_under_load(demo_dsn: str, tmp_path: Path) -> None:
    """In two processes, of which the one may give out tokens of the new secret before the other has read it."""
    secret, previous = tmp_path / "secret", tmp_path / "previous"
    secret.write_text(f"{TOKEN_SECRET}\n")
    previous.write_text("")
    files = {
        "TOKEN_SECRET": "",
        "TOKEN_SECRET_FILE": str(secret),
        "TOKEN_SECRET_PREVIOUS_FILE": str(previous),
    }
    old, new = OwnSecret(TOKEN_SECRET), OwnSecret(NEW_SECRET)
    async with (
        serving(demo_dsn, tmp_path / "log", **files) as one,
        serving(demo_dsn, tmp_path / "other.log", **files) as other,
    ):
        loads = [Load(one.site, old), Load(other.site, old)]
        async with loads[0].running() as client, loads[1].running():
            await asyncio.gather(*(load.all_ask_again() for load in loads))
            replace(previous, TOKEN_SECRET)
            replace(secret, NEW_SECRET)
            for load in loads:
                load.key = new  # at once: neither has had a second to look
            await asyncio.gather(*(load.all_ask_again() for load in loads))
            for load in loads:
                assert await load.ask(client, old.kept) == ""
                assert await load.ask(client, old.token()) == ""
            replace(previous, "")
            for load in loads:
                assert "UNAUTHENTICATED" in await until_refused(load, client, old.kept)
                assert "UNAUTHENTICATED" in await load.ask(client, old.token())
        assert [load.failed for load in loads] == [[], []]
        log = one.log.read_text()
    assert "TOKEN_SECRET was read anew" in log
    assert TOKEN_SECRET not in log
    assert NEW_SECRET not in log


async def test_secret_that_cannot_be_used_leaves_the_former_one(demo_dsn: str, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text(TOKEN_SECRET)
    old = OwnSecret(TOKEN_SECRET)
    async with (
        serving(demo_dsn, tmp_path / "log", TOKEN_SECRET="", TOKEN_SECRET_FILE=str(secret)) as service,
        connecting() as client,
    ):
        load = Load(service.site, old)
        replace(secret, "short")
        assert "UNAUTHENTICATED" in await load.ask(client, OwnSecret(NEW_SECRET).token())
        assert await load.ask(client, old.token()) == ""
        assert "the keys stay as they were: TOKEN_SECRET must have at least 32 bytes" in service.log.read_text()


@pytest.fixture
async def role(server_dsn: str) -> AsyncIterator[tuple[asyncpg.Connection, str]]:
    """Who may rename passwords, and a role of its own that is a member of the tables' owner."""
    owner = await asyncpg.connect(server_dsn)
    name = f"rotation_{os.urandom(6).hex()}"
    member_of = await owner.fetchval("SELECT current_user")
    await owner.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'first' IN ROLE {member_of}")
    yield owner, name
    await owner.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{name}'")
    await owner.execute(f"DROP ROLE {name}")
    await owner.close()


async def test_password_of_the_database_is_replaced_under_load(
    demo_dsn: str, tmp_path: Path, role: tuple[asyncpg.Connection, str]
) -> None:
    owner, name = role
    parts = urlsplit(demo_dsn)
    host = parts.netloc.rpartition("@")[2]
    url = tmp_path / "url"

    def with_password(password: str) -> str:
        return parts._replace(netloc=f"{name}:{password}@{host}").geturl()

    url.write_text(with_password("first"))
    key = OwnSecret(TOKEN_SECRET)
    async with serving(demo_dsn, tmp_path / "log", DATABASE_URL="", DATABASE_URL_FILE=str(url)) as service:
        load = Load(service.site, key)
        async with load.running():
            await load.all_ask_again()
            for password in ("second", "third"):
                await owner.execute(f"ALTER ROLE {name} PASSWORD '{password}'")
                # Whoever connects now has the former password, and waits for the file.
                await owner.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{name}'")
                await asyncio.sleep(0.2)
                replace(url, with_password(password))
                await load.all_ask_again()
        assert load.failed == []


async def test_api_key_is_replaced_under_load(demo_copy_dsn: str, tmp_path: Path, operate: Operate) -> None:
    rights = ("--permission", "orders:read", "--permission", "shipments:read", "--channel", "default")
    made = await operate("keys", "create", "acme", *rights)
    former = OneKey(made["key"])
    async with serving(demo_copy_dsn, tmp_path / "log") as service:
        load = Keys(service.site, former)
        async with load.running() as client:
            await load.all_ask_again()
            for _ in range(3):
                load.key = new = OneKey((await operate("keys", "rotate", made["id"], "--overlap", "1d"))["key"])
                await load.all_ask_again()
                assert await load.ask(client, former.kept) == ""
                await operate("keys", "revoke", made["id"], "--former")
                assert "UNAUTHENTICATED" in await until_refused(load, client, former.kept)
                former = new
        assert load.failed == []


@pytest.mark.parametrize("is_list", [False, True])
async def test_keys_sign_for_issuers_and_audiences_of_their_own(demo_dsn: str, tmp_path: Path, is_list: bool) -> None:
    portal, ours = SigningKey("portal"), SigningKey("ours")
    names = {"iss": "https://portal.test", "aud": "gateway"}
    entry = portal.jwk | {name: [value, "other"] if is_list else value for name, value in names.items()}
    path = tmp_path / "jwks.json"
    path.write_text(json.dumps({"keys": [entry, ours.jwk]}))
    tokens = Tokens(Settings(database_url="", token_secret=TOKEN_SECRET, jwks_file=path))
    assert tokens.verify(ours.token()).subject == "staff:1"
    assert tokens.verify(portal.token(**names)).subject == "staff:1"
    for claims in ({}, {"iss": names["iss"]}, {"aud": names["aud"]}):
        with pytest.raises(NotAuthenticated):
            tokens.verify(portal.token(**claims))
    with pytest.raises(NotAuthenticated):
        tokens.verify(ours.token(**names))
