"""`erase` and `person export`: what is held of one person goes, or is given to them.

A person is a customer, a contact, or whoever one order names. What goes is what tells who they are: names, addresses,
e-mails, telephone numbers, remarks, what carriers told of doors and neighbours, answers that are kept for those who ask
again, what webhooks sent and were answered, links, sessions, and the words that orders are found by. What stays is what
was sold, sent and paid, under the same numbers; the country of an address stays with it, for whoever counts taxes.
"""

import argparse
import hmac
import json
from dataclasses import dataclass
from typing import Any

import asyncpg

import sql
from app.admin.command import Answer, Commands, Noun, Options, Refused, add_task, confirm, identifier, note
from app.admin.contact import find as find_contact
from app.admin.customer import find as find_customer
from app.auth.attempt import CONTACTS, account_key
from app.postgres.direct import fetch

_SQL = sql.load("person")
# In the order in which rows are locked everywhere. What changes told of orders names nobody.
_ORDERS = ("orders", "addresses", "items", "refunds", "events", "waiting_reports")


@dataclass(frozen=True)
class Person:
    """`subject` is what the audit trail calls them. Accounts are a customer's; `actors` are those of stored answers."""

    subject: str
    channel_id: int
    order_ids: list[int]
    account_ids: list[int]
    contact_id: int | None = None

    @property
    def actors(self) -> list[str]:
        customers = [f"customer:{account}" for account in self.account_ids]
        return customers if self.contact_id is None else [f"contact:{self.contact_id}"]


def add_commands(commands: Commands) -> None:
    erase = add_task(
        commands, "erase", _erase, "take away what tells who a person is, and keep what was sold, for good", writes=True
    )
    _name_person(erase)
    erase.add_argument(
        "--keep-invoice", action="store_true", help="keep the addresses of invoices, where a law has you do so"
    )
    erase.add_argument("--yes", action="store_true", help="do not ask; needed without a terminal")
    person = Noun(commands, "person", help="give a person all that is held of them")
    _name_person(person.task("export", _export, "print all that is held of a person, as JSON"))


def _name_person(task: argparse.ArgumentParser) -> None:
    who = task.add_mutually_exclusive_group(required=True)
    who.add_argument("--customer", metavar="CUSTOMER", help="an account of a shop: id, or e-mail with --channel")
    who.add_argument("--contact", type=identifier, metavar="ID", help="a contact of companies")
    who.add_argument("--order-person", type=identifier, metavar="ORDER", help="whoever one order names: a guest")
    task.add_argument("--channel", metavar="CODE", help="of the channel that is meant")


async def _erase(connection: asyncpg.Connection, options: Options) -> Answer:
    person = await _find(connection, options)
    of_orders = {"channel_id": person.channel_id, "order_ids": person.order_ids}
    [under_way] = await fetch(connection, _SQL.under_way, **of_orders)
    still = f", {under_way['orders']} of them not delivered" if under_way["orders"] else ""
    confirm(options, f"Erase {person.subject} with {len(person.order_ids)} orders{still}, for good?")
    await fetch(connection, _SQL.lock_orders, **of_orders)
    keeps = {"keeps_company": person.contact_id is not None, "keeps_invoice": options.keep_invoice}
    for what in _ORDERS:
        await fetch(connection, getattr(_SQL, f"erase_{what}"), **of_orders, **keeps)
    await fetch(connection, _SQL.wake_endpoints, **of_orders)
    await fetch(connection, _SQL.erase_deliveries, **of_orders)
    await fetch(connection, _SQL.erase_answers, actors=person.actors, order_ids=person.order_ids)
    of_account = {"channel_id": person.channel_id, "account_ids": person.account_ids}
    await _erase_logins(connection, options, **of_account, contact_id=person.contact_id)
    await fetch(connection, _SQL.erase_customers, **of_account)
    if person.contact_id is not None:
        await fetch(connection, _SQL.erase_contact, channel_id=person.channel_id, id=person.contact_id)
    await fetch(connection, _SQL.erase_words, **of_orders)
    orders = len(person.order_ids)
    await note(connection, "erase", person.subject, orders=orders, kept_invoice=options.keep_invoice)
    return Answer(
        {"subject": person.subject, "orders": orders, "not_delivered": under_way["orders"]},
        notes=["Archives of before hold them still, and so do the copies of those who read the feed: it tells them."],
    )


async def _erase_logins(connection: asyncpg.Connection, options: Options, **of_account: Any) -> None:
    """Addresses from which the account has logged in are kept by a digest of its e-mail."""
    rows = await fetch(connection, _SQL.emails, **of_account, contacts=CONTACTS)
    secret = options.settings().token_secret.encode() if rows else b""
    hashes = [hmac.digest(secret, account_key(row["whose"], row["email"]), "sha256") for row in rows]
    await fetch(connection, _SQL.erase_logins, account_hashes=hashes)


async def _export(connection: asyncpg.Connection, options: Options) -> Answer:
    """All of one moment; the value is JSON whatever the command was asked to print."""
    options.json = True
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        person = await _find(connection, options, lock=False)
        [account] = await fetch(
            connection,
            _SQL.export_account,
            channel_id=person.channel_id,
            account_ids=person.account_ids,
            contact_id=person.contact_id,
            actors=person.actors,
            order_ids=person.order_ids,
        )
        of_orders = {"channel_id": person.channel_id, "order_ids": person.order_ids}
        orders = [json.loads(row["held"]) for row in await fetch(connection, _SQL.export_order, **of_orders)]
    return Answer({"subject": person.subject, **json.loads(account["held"]), "orders": orders})


async def _find(connection: asyncpg.Connection, options: Options, *, lock: bool = True) -> Person:
    """Raises `Refused`."""
    if options.customer is not None:
        customer = await find_customer(connection, options.customer, options.channel, lock=lock)
        values = {"channel_id": customer["channel_id"], "id": customer["id"]}
        accounts = [row["id"] for row in await fetch(connection, _SQL.customer_accounts, **values)]
        of_accounts = {"channel_id": customer["channel_id"], "account_ids": accounts}
        orders = await fetch(connection, _SQL.orders_of_customer, **of_accounts)
        subject = f"customer:{customer['id']}"
        return Person(subject, customer["channel_id"], [row["id"] for row in orders], accounts)
    if options.contact is not None:
        contact = await find_contact(connection, options.contact, options.channel, lock=lock)
        values = {"channel_id": contact["channel_id"], "id": contact["id"]}
        orders = await fetch(connection, _SQL.orders_of_contact, **values)
        subject = f"contact:{contact['id']}"
        return Person(subject, contact["channel_id"], [row["id"] for row in orders], [], contact["id"])
    found = await fetch(connection, _SQL.orders_by_id, id=options.order_person, channel=options.channel)
    if not found:
        raise Refused(f"there is no order {options.order_person}")
    if len(found) > 1:
        raise Refused(f"several channels have an order {options.order_person}: name one by --channel")
    return Person(f"order:{found[0]['id']}", found[0]["channel_id"], [found[0]["id"]], [])
