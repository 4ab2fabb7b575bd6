"""Whose orders an import brings: accounts by their keys, of which an e-mail is one, and never another's orders."""

from pathlib import Path
from typing import Any

import pytest

from tests.app.importer.test_ingest import SHOP, SWIFT, Store, order
from tests.conftest import ConnectionTo

ACCOUNTS = "SELECT external_id, email, phone FROM customers ORDER BY id"
OWNERS = """
    SELECT o.external_id, coalesce(c.external_id, c.email, c.phone), o.email
    FROM orders o LEFT JOIN customers c ON c.id = o.customer_id ORDER BY 1
"""


@pytest.fixture
async def store(fresh_dsn: str, tmp_path: Path, connection_to: ConnectionTo) -> Store:
    store = Store(fresh_dsn, tmp_path, connection_to)
    await store.take(SHOP, SWIFT)
    return store


def of(n: int, *, minute: int = 0, **customer: Any) -> dict[str, Any]:
    return order(n, customer=customer, shipments=[], createdAt=f"2024-03-01T09:{minute:02}:{n:02}Z")


def account(**fields: Any) -> dict[str, Any]:
    return {"kind": "customer", "channel": "shop", **fields}


async def take(store: Store, *records: dict[str, Any]) -> None:
    """Twice, of which the second time changes nothing."""
    report = await store.take(*records)
    assert report[-1].endswith("0 refused"), report
    before = await store.rows()
    report = await store.take(*records)
    assert report == [f"{len(records)} read, 0 created, 0 updated, {len(records)} unchanged, 0 refused"]
    assert await store.rows() == before


async def test_any_key_suffices_for_a_customer(store: Store) -> None:
    await take(store, of(1, email="ann@a.example"), of(2, phone="+31 6 1"), of(3, externalId="C-3", firstName="Cy"))
    assert await store.fetch(ACCOUNTS) == [("C-3", None, None), (None, "ann@a.example", None), (None, None, "+31 6 1")]
    assert await store.fetch(OWNERS) == [
        ("O-1", "ann@a.example", "ann@a.example"),
        ("O-2", "+31 6 1", ""),
        ("O-3", "C-3", ""),
    ]


async def test_customer_without_any_key_is_refused(store: Store) -> None:
    report = await store.take(of(1, firstName="Ann"), account(lastName="Lee"), account(phone="  "))
    assert report[:2] == [
        "1: $.customer: needs an email, a phone or an externalId",
        "2: $: needs an email, a phone or an externalId",
    ]
    assert report[2].startswith("3: $.phone: ")


async def test_equal_phones_are_not_one_customer(store: Store) -> None:
    await take(store, of(1, phone="112"), of(2, phone="112"))
    assert await store.fetch("SELECT count(DISTINCT customer_id) FROM orders") == [(2,)]
    await take(store, of(3, phone="112", email="ann@a.example"))
    assert await store.fetch("SELECT count(DISTINCT customer_id) FROM orders") == [(3,)]


async def test_order_stays_its_customers_when_the_email_is_corrected(store: Store) -> None:
    await take(store, of(1, email="typo@a.example"))
    [before] = await store.fetch("SELECT customer_id FROM orders")
    await take(store, of(1, email="ann@a.example"))
    assert await store.fetch("SELECT customer_id FROM orders") == [before]
    assert await store.fetch(ACCOUNTS) == [(None, "ann@a.example", None)]


async def test_account_of_several_orders_takes_the_email_that_all_of_them_bear(store: Store) -> None:
    old, new = "typo@a.example", "ann@a.example"
    await take(store, of(1, email=old), of(2, email=old))
    await take(store, of(1, email=new))
    assert await store.fetch(OWNERS) == [("O-1", old, new), ("O-2", old, old)]
    await take(store, of(2, email=new))
    assert await store.fetch(OWNERS) == [("O-1", new, new), ("O-2", new, new)]


async def test_account_with_a_password_keeps_its_email_and_its_orders(store: Store) -> None:
    await take(store, of(1, email="ann@a.example", firstName="Ann"))
    await store.fetch("UPDATE customers SET password_hash = 'x'")
    await take(store, of(1, email="bob@a.example", firstName="Bob"))
    assert await store.fetch(OWNERS) == [("O-1", "ann@a.example", "bob@a.example")]
    assert await store.fetch("SELECT email, first_name FROM customers") == [("ann@a.example", "Ann")]
    await take(store, of(2, email="bob@a.example"))
    assert await store.fetch(OWNERS) == [
        ("O-1", "ann@a.example", "bob@a.example"),
        ("O-2", "bob@a.example", "bob@a.example"),
    ]


async def test_order_of_nobody_yet_goes_to_who_has_the_corrected_email(store: Store) -> None:
    await take(store, of(1, email="typo@a.example"), of(2, email="ann@a.example"))
    await take(store, of(1, email="ann@a.example"))
    assert await store.fetch("SELECT count(DISTINCT customer_id) FROM orders") == [(1,)]


async def test_key_decides_before_the_email(store: Store) -> None:
    """Who has one key is not who has another, though they order with one e-mail: the second has none to log in with."""
    shared = "family@a.example"
    await take(store, of(1, externalId="C-1", email=shared), of(2, externalId="C-2", email=shared))
    assert sorted(await store.fetch(ACCOUNTS)) == [("C-1", None, None), ("C-2", shared, None)]
    assert await store.fetch(OWNERS) == [("O-1", "C-1", shared), ("O-2", "C-2", shared)]
    await take(store, of(2, externalId="C-1", email=shared))
    assert await store.fetch(OWNERS) == [("O-1", "C-1", shared), ("O-2", "C-1", shared)]


async def test_account_takes_the_key_that_comes_with_its_email(store: Store) -> None:
    await take(store, of(1, email="ann@a.example"))
    await take(store, of(2, externalId="C-1", email="ANN@a.example"))
    assert await store.fetch(ACCOUNTS) == [("C-1", "ann@a.example", None)]
    assert await store.fetch("SELECT count(DISTINCT customer_id) FROM orders") == [(1,)]


async def test_two_keys_that_come_for_one_account_are_two_customers(store: Store) -> None:
    await take(store, of(1, email="ann@a.example"))
    records = of(2, externalId="C-2", email="ann@a.example"), of(3, externalId="C-3", email="ann@a.example")
    await take(store, *records)
    owners = {row[0]: row[1] for row in await store.fetch(OWNERS)}
    assert {owners["O-2"], owners["O-3"]} == {"C-2", "C-3"}


async def test_other_key_with_another_email_is_another_customer(store: Store) -> None:
    await take(store, of(1, email="ann@a.example"), of(2, email="ann@a.example"))
    await take(store, of(2, externalId="C-2", email="bob@a.example"))
    assert await store.fetch(OWNERS) == [
        ("O-1", "ann@a.example", "ann@a.example"),
        ("O-2", "C-2", "bob@a.example"),
    ]


async def test_record_without_a_customer_leaves_the_customer(store: Store) -> None:
    await take(store, of(1, email="ann@a.example", firstName="Ann"))
    bare = of(1)
    del bare["customer"]
    await take(store, bare)
    assert await store.fetch(OWNERS) == [("O-1", "ann@a.example", "ann@a.example")]
    await take(store, {**bare, "customer": {"externalId": "C-1"}})
    assert await store.fetch("SELECT external_id, email, first_name FROM customers") == [
        ("C-1", "ann@a.example", "Ann")
    ]
    assert await store.fetch("SELECT email, first_name FROM orders") == [("ann@a.example", "Ann")]
    await take(store, {**bare, "customer": None})
    assert await store.fetch(OWNERS) == [("O-1", None, "")]


async def test_customer_is_a_record_of_its_own(store: Store) -> None:
    await take(store, account(externalId="C-1", email="ann@a.example", phone="1"), account(phone="2", lastName="Lee"))
    await take(store, of(1, externalId="C-1"), of(2, email="ANN@a.example"))
    assert await store.fetch("SELECT count(DISTINCT customer_id) FROM orders") == [(1,)]
    await take(store, account(externalId="C-1", email="ann@b.example"))
    assert await store.fetch(ACCOUNTS) == [("C-1", "ann@b.example", "1"), (None, None, "2")]
    assert await store.fetch("SELECT count(DISTINCT customer_id) FROM orders") == [(1,)]


async def test_customer_does_not_take_the_email_of_another(store: Store) -> None:
    await take(store, account(externalId="C-1", email="ann@a.example"), account(externalId="C-2"))
    for key in ("C-2", "C-3"):
        report = await store.take(account(externalId=key, email="ann@a.example"))
        assert report[0] == "1: $.email: is the e-mail of another customer: merge the two"


async def test_customers_of_channels_are_others(store: Store) -> None:
    ann = {"externalId": "C-1", "email": "ann@a.example"}
    await take(store, {**SHOP, "code": "other"}, of(1, **ann), {**of(2, **ann), "channel": "other"})
    assert await store.fetch("SELECT count(*), count(DISTINCT channel_id) FROM customers") == [(2, 2)]
