"""Keys of partners and shops by command, and what they open at every door."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable

import asyncpg
import httpx
import pytest
from starlette.types import ASGIApp

from app.admin.command import Refused
from app.asgi import Service
from app.auth.api_key import is_made_here
from app.http.address import Forwarded
from tests.app.admin.conftest import Operate
from tests.app.http.serving import served
from tests.app.live.conftest import SHIPMENTS, connected
from tests.conftest import FAR_TOO_LONG, running, settings_for

ORDERS = {"query": "{ orders { itemsFound items { id } } }"}
FORGOTTEN = 'mutation { customerPasswordRequest(input: {email: "nobody@example.com"}) { success } }'
READING = ("--permission", "orders:read", "--permission", "shipments:read")
INSIDE, OUTSIDE = "192.0.2.7", "198.51.100.1"

Audited = Callable[[], Awaitable[list[tuple[str, str]]]]


@pytest.fixture
async def service(demo_copy_dsn: str) -> AsyncIterator[Service]:
    async with running(settings_for(demo_copy_dsn)) as app:
        assert isinstance(app, Service)
        yield app


def at(app: ASGIApp, address: str) -> httpx.AsyncClient:
    """A client whose requests come from an address."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(app, client=(address, 1)), base_url="http://waybill.test")


async def opens(app: ASGIApp, key: str, address: str = INSIDE) -> bool:
    """Whether GraphQL and the export answer to a key; they agree, unless the database tells of it in between."""
    async with asyncio.timeout(FAR_TOO_LONG), at(app, address) as client:
        while True:
            graphql = (await client.post("/graphql", json=ORDERS, headers={"apikey": key})).json()
            export = await client.get("/export/shipments.ndjson", headers={"apikey": key})
            is_open = "errors" not in graphql
            assert is_open or graphql["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
            if is_open == (export.status_code == 200):
                return is_open


async def opens_shop(app: ASGIApp, key: str, address: str = INSIDE) -> bool:
    """Whether the shop's GraphQL and its REST twin know a shop by its key; they agree, as above."""
    headers = {"X-STOREFRONT-KEY": key}
    login = {"email": "customer@example.com", "password": "waybill-demo-john"}
    async with asyncio.timeout(FAR_TOO_LONG), at(app, address) as client:
        while True:
            rest = await client.post("/api/shop/customer/login", json=login, headers=headers)
            graphql = (await client.post("/api/graphql", json={"query": FORGOTTEN}, headers=headers)).json()
            if (rest.status_code == 201) == ("errors" not in graphql):
                return rest.status_code == 201


async def holds(condition: Callable[[], Awaitable[bool]]) -> None:
    """Waits for what the database tells of by a notification."""
    async with asyncio.timeout(FAR_TOO_LONG):
        while not await condition():
            pass


async def test_key_is_shown_once_and_stored_as_its_digest(
    operate: Operate, service: Service, copy_connection: asyncpg.Connection, audited: Audited
) -> None:
    made = await operate("keys", "create", "acme", *READING, "--channel", "northwind")
    key = made["key"]
    assert is_made_here(key)
    row = await copy_connection.fetchrow("SELECT * FROM api_keys WHERE id = $1", made["id"])
    assert row["key_hash"] == hashlib.sha256(key.encode()).digest()
    assert key not in repr([dict(row), await operate("keys", "list"), await operate("audit", "list")])
    assert row["prefix"] == key[:10]
    assert await opens(service, key)
    assert not await opens(service, key[:-1] + ("0" if key[-1] != "0" else "1"))
    assert await audited() == [("keys create", f"api_key:{made['id']}")]
    with pytest.raises(Refused, match="already"):
        await operate("keys", "create", "acme", *READING, "--channel", "northwind")


async def test_key_of_a_company_sees_its_orders_alone(operate: Operate, service: Service) -> None:
    made = await operate("keys", "create", "hofstra", *READING, "--channel", "default", "--company", 4)
    everything = await operate("keys", "create", "all", *READING, "--channel", "default")

    async def found(key: str) -> int:
        async with at(service, INSIDE) as client:
            answer = (await client.post("/graphql", json=ORDERS, headers={"apikey": key})).json()
        number: int = answer["data"]["orders"]["itemsFound"]
        return number

    assert 0 < await found(made["key"]) < await found(everything["key"])
    with pytest.raises(Refused, match="none of the channels has a company 999"):
        await operate("keys", "create", "x", *READING, "--channel", "default", "--company", 999)
    with pytest.raises(Refused, match="there is no channel 'nowhere'"):
        await operate("keys", "create", "x", *READING, "--channel", "nowhere")
    before = await found(everything["key"])
    changed = await operate("keys", "change", everything["id"], "--company", 4)
    assert (changed["channels"], changed["companies"]) == (["default"], [4])

    async def is_narrowed() -> bool:
        return await found(everything["key"]) < before

    await holds(is_narrowed)


async def test_rotation_leaves_both_keys_good_until_the_former_is_ended(
    operate: Operate, service: Service, audited: Audited, copy_connection: asyncpg.Connection
) -> None:
    made = await operate("keys", "create", "acme", *READING, "--channel", "default")
    rotated = await operate("keys", "rotate", made["id"], "--overlap", "1h")
    former, key = made["key"], rotated["key"]
    assert former != key

    async def both() -> bool:
        return await opens(service, former) and await opens(service, key)

    await holds(both)
    with pytest.raises(Refused, match="the former key is good until"):
        await operate("keys", "rotate", made["id"])
    assert (await operate("keys", "find", stdin=former))["id"] == made["id"]
    assert (await operate("keys", "show", made["id"]))["state"] == "rotating"
    await operate("keys", "revoke", made["id"], "--former")

    async def former_is_over() -> bool:
        return not await opens(service, former)

    await holds(former_is_over)
    assert await opens(service, key)
    with pytest.raises(Refused, match="replaces none"):
        await operate("keys", "revoke", made["id"], "--former")
    again = await operate("keys", "rotate", made["id"], "--overlap", "0s")
    assert not await opens(service, key)
    assert await opens(service, again["key"])
    actions = ["create", "rotate", "revoke", "rotate"]
    assert await audited() == [(f"keys {action}", f"api_key:{made['id']}") for action in actions]


async def test_former_key_ends_by_the_clock_without_anybody_telling(
    operate: Operate, service: Service, copy_connection: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    import time as clock

    made = await operate("keys", "create", "acme", *READING, "--channel", "default", "--expires", "2d")
    rotated = await operate("keys", "rotate", made["id"], "--overlap", "1d")
    assert await opens(service, made["key"])
    now = clock.time()
    monkeypatch.setattr("app.auth.viewer.time.time", lambda: now + 86_500)
    assert not await opens(service, made["key"])
    assert await opens(service, rotated["key"])
    monkeypatch.setattr("app.auth.viewer.time.time", lambda: now + 2 * 86_500)
    assert not await opens(service, rotated["key"])


async def test_key_is_good_from_its_networks_alone(operate: Operate, service: Service) -> None:
    networks = ("--network", "192.0.2.0/24", "--network", "2001:db8::/32")
    made = await operate("keys", "create", "acme", *READING, "--channel", "default", *networks)
    key = made["key"]
    for address, is_open in (
        (INSIDE, True),
        (f"::ffff:{INSIDE}", True),
        ("2001:db8::1", True),
        (OUTSIDE, False),
        ("", False),
        ("nonsense", False),
    ):
        assert await opens(service, key, address) is is_open, address
    with pytest.raises(Refused, match="--network any"):
        await operate("keys", "change", made["id"], "--network", "any", "--network", "192.0.2.0/24")
    await operate("keys", "change", made["id"], "--network", "any")

    async def is_anywhere() -> bool:
        return await opens(service, key, OUTSIDE)

    await holds(is_anywhere)


async def test_address_is_believed_from_trusted_proxies_alone(operate: Operate, service: Service) -> None:
    made = await operate("keys", "create", "acme", *READING, "--channel", "default", "--network", INSIDE)
    proxied = Forwarded(service, "10.0.0.1")
    for proxy, told, is_open in (("10.0.0.1", INSIDE, True), ("10.0.0.1", OUTSIDE, False), (OUTSIDE, INSIDE, False)):
        async with at(proxied, proxy) as client:
            headers = {"apikey": made["key"], "X-Forwarded-For": told}
            answer = (await client.post("/graphql", json=ORDERS, headers=headers)).json()
        assert ("errors" not in answer) is is_open, (proxy, told)


async def test_networks_hold_for_tokens_of_the_partner_too(operate: Operate, service: Service) -> None:
    made = await operate("keys", "create", "acme", *READING, "--channel", "default", "--network", "192.0.2.0/24")
    token = (await operate("tokens", "create", f"partner:{made['id']}"))["token"]
    for address, is_open in ((INSIDE, True), (OUTSIDE, False)):
        async with at(service, address) as client:
            headers = {"Authorization": f"Bearer {token}"}
            answer = (await client.post("/graphql", json=ORDERS, headers=headers)).json()
        assert ("errors" not in answer) is is_open


@pytest.mark.parametrize("end", ["revoke", "network"])
async def test_sockets_end_with_their_key(operate: Operate, service: Service, end: str) -> None:
    async with served(service, "whole") as client:
        await _sockets_end(operate, str(client.base_url), end)


async def _sockets_end(operate: Operate, site: str, end: str) -> None:
    made = await operate("keys", "create", "acme", *READING, "--channel", "default", "--network", "127.0.0.0/8")
    async with connected(site) as socket:
        await socket.begin({"apikey": made["key"]})
        await socket.following(SHIPMENTS)
        if end == "revoke":
            await operate("keys", "revoke", made["id"])
        else:
            await operate("keys", "change", made["id"], "--network", "192.0.2.0/24")
        assert await socket.code() == 4403
    async with connected(site) as socket:
        await socket.send(type="connection_init", payload={"apikey": made["key"]})
        assert await socket.code() == 4403


async def test_stream_that_was_reserved_is_not_opened_from_elsewhere(operate: Operate, service: Service) -> None:
    made = await operate("keys", "create", "acme", *READING, "--channel", "default", "--network", "192.0.2.0/24")
    async with at(service, INSIDE) as client:
        token = (await client.put("/graphql", headers={"apikey": made["key"]})).text
    async with at(service, OUTSIDE) as client:
        events = {"accept": "text/event-stream"}
        opened = await client.get("/graphql", params={"token": token}, headers=events)
        assert opened.status_code == 401
        query = "subscription { shipmentChanges { action } }"
        followed = await client.get("/graphql", params={"token": token, "query": query}, headers=events)
        assert "UNAUTHENTICATED" in followed.text


async def test_revoked_key_opens_nothing_and_stays_revoked(operate: Operate, service: Service) -> None:
    made = await operate("keys", "create", "acme", *READING, "--channel", "default")
    assert await opens(service, made["key"])
    await operate("keys", "revoke", made["id"])

    async def is_over() -> bool:
        return not await opens(service, made["key"])

    await holds(is_over)
    assert made["id"] not in [row["id"] for row in await operate("keys", "list")]
    [row] = [row for row in await operate("keys", "list", "--all") if row["id"] == made["id"]]
    assert row["state"] == "revoked"
    for command in ("rotate", "change"):
        with pytest.raises(Refused, match="is revoked, for good"):
            await operate("keys", command, made["id"])


async def test_storefront_key_has_networks_an_end_and_rotates(
    operate: Operate, service: Service, audited: Audited, monkeypatch: pytest.MonkeyPatch
) -> None:
    import time as clock

    bounds = ("--network", INSIDE, "--expires", "2d")
    made = await operate("storefront-keys", "create", "shop", "--channel", "default", *bounds)
    key = made["key"]
    assert await opens_shop(service, key)
    assert not await opens_shop(service, key, OUTSIDE)
    rotated = await operate("storefront-keys", "rotate", made["id"], "--overlap", "1d")
    assert await opens_shop(service, key)
    assert await opens_shop(service, rotated["key"])
    with monkeypatch.context() as later:
        now = clock.time()
        later.setattr("app.auth.storefront_key.time.time", lambda: now + 86_500)
        assert not await opens_shop(service, key)
        assert await opens_shop(service, rotated["key"])
    changed = await operate("storefront-keys", "change", made["id"], "--requests-per-minute", 7)
    assert (changed["requests_per_minute"], changed["networks"]) == (7, [f"{INSIDE}/32"])
    await operate("storefront-keys", "revoke", made["id"])

    async def is_over() -> bool:
        return not await opens_shop(service, rotated["key"])

    await holds(is_over)
    actions = ["create", "rotate", "change", "revoke"]
    assert await audited() == [(f"storefront-keys {action}", f"storefront_key:{made['id']}") for action in actions]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("wbk_" + "0" * 36, "its checksum"),
        ("short", "no key"),
        ("a-key-that-nobody-ever-had", "none of this database"),
        ("", "standard input"),
    ],
)
async def test_text_that_is_no_key_is_not_found(operate: Operate, text: str, words: str) -> None:
    with pytest.raises(Refused, match=words):
        await operate("keys", "find", stdin=text)


@pytest.mark.parametrize(
    "arguments",
    [
        ("create", "x", "--channel", "default"),
        ("create", "x", *READING),
        ("create", "x", "--permission", "orders:eat", "--channel", "default"),
        ("create", "x", *READING, "--channel", "default", "--network", "192.0.2.1/24"),
        ("create", "x", *READING, "--channel", "default", "--expires", "2001-01-01"),
        ("create", "x\n", *READING, "--channel", "default"),
        ("rotate", "0"),
        ("rotate", "1", "--overlap", "7"),
        ("show", "2147483648"),
    ],
)
async def test_wrong_usage_is_refused_before_the_database(operate: Operate, arguments: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit) as refused:
        await operate("keys", *arguments)
    assert refused.value.code == 2
