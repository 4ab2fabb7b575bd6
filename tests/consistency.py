"""What must hold in the store whatever was written and however that ended: each rule with a query for its breaches.

They hold in a database that was migrated before anything was in it: what is older than the change feed is not in it.
"""

import asyncpg

_RECORDED = """(
    SELECT 'ORDER' AS type, id::text AS entity_id, version FROM orders
    UNION ALL SELECT 'SHIPMENT', id::text, version FROM shipments
    UNION ALL SELECT 'SHIPMENT_ITEM', id::text, version FROM shipment_items
    UNION ALL SELECT 'TRACK_AND_TRACE', id::text, version FROM track_and_traces
    UNION ALL SELECT 'CARRIER', id::text, version FROM carriers
)"""

# The lifecycle of shipments (B-52, decision 16), by the status that a step is taken from.
STEPS = {
    "CREATED": {"PROCESSING", "IN_TRANSIT", "CANCELED", "DELIVERED"},
    "PROCESSING": {"IN_TRANSIT", "CANCELED", "EXCEPTION", "DELIVERED"},
    "IN_TRANSIT": {"OUT_FOR_DELIVERY", "PARTIALLY_DELIVERED", "DELIVERED", "FAILED_DELIVERY", "EXCEPTION"},
    "OUT_FOR_DELIVERY": {"PARTIALLY_DELIVERED", "DELIVERED", "FAILED_DELIVERY", "EXCEPTION"},
    "PARTIALLY_DELIVERED": {"OUT_FOR_DELIVERY", "DELIVERED", "EXCEPTION"},
    "FAILED_DELIVERY": {"IN_TRANSIT", "OUT_FOR_DELIVERY", "CANCELED", "EXCEPTION"},
    "EXCEPTION": {"IN_TRANSIT", "OUT_FOR_DELIVERY", "DELIVERED", "CANCELED"},
    "DELIVERED": set(),
    "CANCELED": set(),
}

RULES = {
    "what is shipped of a line is no more than was ordered": """
        SELECT l.id FROM order_items l
        JOIN shipment_items i ON i.order_item_id = l.id AND i.channel_id = l.channel_id
        JOIN shipments s ON s.id = i.shipment_id AND s.channel_id = i.channel_id
        WHERE s.status IS DISTINCT FROM 'CANCELED'
        GROUP BY l.id, l.channel_id HAVING sum(i.quantity) > l.quantity - l.quantity_canceled
    """,
    "a line without parts says how much of it is shipped and delivered": """
        SELECT l.id FROM order_items l WHERE NOT EXISTS (
          SELECT FROM order_items p WHERE p.parent_order_item_id = l.id AND p.class = 'product')
        AND (l.quantity_shipped, l.quantity_delivered) <> (
          SELECT coalesce(sum(i.quantity) FILTER (WHERE s.status IS DISTINCT FROM 'CANCELED'), 0),
            coalesce(sum(i.quantity) FILTER (WHERE s.status = 'DELIVERED'), 0)
          FROM shipment_items i
          JOIN shipments s ON s.id = i.shipment_id AND s.channel_id = i.channel_id
          WHERE i.order_item_id = l.id AND i.channel_id = l.channel_id)
    """,
    "a bundle is shipped and delivered as far as its parts are": """
        SELECT l.id FROM order_items l
        JOIN (
          SELECT p.parent_order_item_id AS id,
            min(1.0 * p.quantity_shipped / (p.quantity - p.quantity_canceled)) AS shipped,
            min(1.0 * p.quantity_delivered / (p.quantity - p.quantity_canceled)) AS delivered
          FROM order_items p WHERE p.class = 'product' AND p.quantity > p.quantity_canceled GROUP BY 1
        ) parts ON parts.id = l.id
        WHERE l.quantity_shipped <> trunc((l.quantity - l.quantity_canceled) * parts.shipped + 0.000001)
          OR l.quantity_delivered <> trunc((l.quantity - l.quantity_canceled) * parts.delivered + 0.000001)
    """,
    "an order says how much of it is paid back, and a line how many": """
        SELECT o.id FROM orders o WHERE o.refunded_total <> (
          SELECT coalesce(sum(r.amount), 0) FROM refunds r WHERE r.order_id = o.id AND r.channel_id = o.channel_id)
        UNION ALL
        SELECT l.id FROM order_items l WHERE l.quantity_refunded <> (
          SELECT coalesce(sum(i.quantity), 0) FROM refund_items i
          WHERE i.order_item_id = l.id AND i.order_id = l.order_id AND i.channel_id = l.channel_id)
    """,
    "nothing hangs in the air": """
        SELECT i.id FROM shipment_items i
        LEFT JOIN shipments s ON (s.id, s.order_id, s.channel_id) = (i.shipment_id, i.order_id, i.channel_id)
        WHERE s.id IS NULL
        UNION ALL
        SELECT i.id FROM shipment_items i
        LEFT JOIN order_items l ON (l.id, l.order_id, l.channel_id) = (i.order_item_id, i.order_id, i.channel_id)
        WHERE l.id IS NULL
        UNION ALL
        SELECT t.id FROM track_and_traces t
        LEFT JOIN shipments s ON (s.id, s.order_id, s.channel_id) = (t.shipment_id, t.order_id, t.channel_id)
        WHERE s.id IS NULL
        UNION ALL
        SELECT s.id FROM shipments s LEFT JOIN orders o ON (o.id, o.channel_id) = (s.order_id, s.channel_id)
        WHERE o.id IS NULL
    """,
    "a change belongs to a transaction that has a position or waits for one, and a transaction has changes": """
        SELECT coalesce(c.transaction_id, t.id) FROM changes c
        FULL JOIN transactions t ON t.id = c.transaction_id
        WHERE c.id IS NULL OR t.position IS NULL AND NOT EXISTS (SELECT FROM commits w WHERE w.transaction_id = t.id)
    """,
    "a version is the number of changes that led to it, and what is gone has a tombstone": f"""
        SELECT type, entity_id FROM {_RECORDED} present
        FULL JOIN (
          SELECT type, entity_id, count(*) FILTER (WHERE action <> 'DELETED') AS changes,
            bool_or(action = 'DELETED') AS is_gone
          FROM changes WHERE type NOT IN ('ORDER_ITEM', 'TRACKING_EVENT') GROUP BY type, entity_id
        ) told USING (type, entity_id)
        WHERE (present.version IS NULL) IS DISTINCT FROM told.is_gone OR present.version <> told.changes
    """,
    "the changes of a row are its creation, its updates in order and at most one end": """
        SELECT type, entity_id FROM (
          SELECT type, entity_id, action, version,
            row_number() OVER steps AS step, lead(action) OVER steps AS next_action, lag(version) OVER steps AS before
          FROM changes WHERE type NOT IN ('ORDER_ITEM', 'TRACKING_EVENT')
          WINDOW steps AS (PARTITION BY type, entity_id ORDER BY id)
        ) told
        WHERE (step = 1) <> (action = 'CREATED') OR (action = 'DELETED' AND next_action IS NOT NULL)
           OR version <> CASE action WHEN 'CREATED' THEN 1 WHEN 'UPDATED' THEN before + 1 ELSE before END
    """,
    "a line has one version for each change that is told of it, and the first": """
        SELECT l.id FROM order_items l WHERE l.version <> 1 + (
          SELECT count(*) FROM changes c WHERE c.type = 'ORDER_ITEM' AND c.entity_id = l.id::text)
    """,
    "an event is told once, when it is recorded": """
        SELECT e.id FROM tracking_events e WHERE (
          SELECT array_agg(c.action) FROM changes c WHERE c.type = 'TRACKING_EVENT' AND c.entity_id = e.id::text
        ) IS DISTINCT FROM '{CREATED}'
    """,
    "the status of a shipment is the one that its last change tells": """
        SELECT s.id FROM shipments s WHERE s.status <> (
          SELECT c.new ->> 'status' FROM changes c
          WHERE c.shipment_id = s.id AND c.type = 'SHIPMENT' AND c.new ? 'status' ORDER BY c.id DESC LIMIT 1)
    """,
}


async def breaches(dsn: str) -> dict[str, list[asyncpg.Record]]:
    """The rows that break a rule, by rule; empty when all is well."""
    connection = await asyncpg.connect(dsn)
    try:
        found = {rule: await connection.fetch(query) for rule, query in RULES.items()}
    finally:
        await connection.close()
    return {rule: rows for rule, rows in found.items() if rows}
