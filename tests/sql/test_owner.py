"""Whom an owner's order is shown to, decided without the database, is what the predicate of `orders` says."""

import asyncpg

from sql import Owner, Reach, Visibility
from sql.visibility import predicate

ORDERS = """
SELECT o.id, o.channel_id, o.company_id, o.customer_id,
  (SELECT w.is_public FROM order_statuses w WHERE w.code = o.status) AS is_public
FROM orders o
"""
VISIBILITIES = [
    Visibility.everything(),
    *(Visibility.of_channels(channels) for channels in [(1,), (2,), (1, 2), ()]),
    *(Visibility.of_companies((1,), companies) for companies in [(3,), (4,), (3, 4), ()]),
    *(Visibility.of_contact(1, companies) for companies in [(3,), (4,), (3, 4), ()]),
    *(Visibility.of_customer(1, customer) for customer in (1, 2, 3)),
    *(Visibility.of_order(channel, order, 1) for channel, order in [(1, 1), (2, 1), (1, 2), (1, 2075)]),
]


async def test_an_owner_is_seen_as_the_order_is(copy_connection: asyncpg.Connection) -> None:
    await copy_connection.execute("UPDATE order_statuses SET is_public = false WHERE code = 'NEW'")
    orders = await copy_connection.fetch(ORDERS)
    assert {order["is_public"] for order in orders} == {True, False}
    shown = dict.fromkeys(Reach, 0)
    for visibility in VISIBILITIES:
        text = predicate(visibility.reach, "orders", "o")
        values = {
            "visible_channel_ids": f"'{{{','.join(map(str, visibility.channel_ids))}}}'::int[]",
            "visible_company_ids": f"'{{{','.join(map(str, visibility.company_ids))}}}'::int[]",
            "visible_customer_id": str(visibility.customer_id),
            "visible_order_id": str(visibility.order_id),
            "visible_link_generation": str(visibility.link_generation),
        }
        for name, value in values.items():
            text = text.replace(f":{name}", value)
        seen = {row["id"] for row in await copy_connection.fetch(f"SELECT o.id FROM orders o WHERE {text}")}
        owners = {
            order["id"]: Owner(
                order["id"], order["channel_id"], order["company_id"], order["customer_id"], order["is_public"]
            )
            for order in orders
        }
        assert {id_ for id_, owner in owners.items() if visibility.sees(owner)} == seen, visibility
        shown[visibility.reach] += len(seen)
    assert all(shown.values())
