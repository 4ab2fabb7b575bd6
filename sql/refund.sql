-- What was paid back of orders, and for which of their lines.

-- fragment: refund
r.id::text, r.order_id, r.external_id, r.amount::float8, money_text(r.amount, d.currency) AS amount_exact, d.currency,
  r.reason, r.created_at

-- name: by_order_ids
-- feeds: Refund
SELECT {refund}
FROM refunds r
JOIN orders d ON d.id = r.order_id AND d.channel_id = r.channel_id
WHERE r.order_id = ANY(:order_ids) AND {visible refunds r}
ORDER BY r.created_at, r.id;

-- As their customer reads them.
-- name: of_customer_by_order_ids
-- feeds: CustomerOrderRefund
SELECT r.order_id, r.amount::float8, money_text(r.amount, d.currency) AS amount_exact, d.currency,
  to_char(r.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"+00:00"') AS created_at
FROM refunds r
JOIN orders d ON d.id = r.order_id AND d.channel_id = r.channel_id
WHERE r.order_id = ANY(:order_ids) AND {visible refunds r}
ORDER BY r.created_at, r.id;

-- name: items_by_refund_ids
-- feeds: RefundItem
SELECT i.refund_id::text, i.order_item_id, i.quantity, i.amount::float8,
  money_text(i.amount, d.currency) AS amount_exact, d.currency
FROM refund_items i
JOIN refunds r ON r.id = i.refund_id AND r.channel_id = i.channel_id
JOIN orders d ON d.id = r.order_id AND d.channel_id = r.channel_id
WHERE i.refund_id = ANY(:refund_ids::uuid[]) AND {visible refund_items i}
ORDER BY i.order_item_id;

-- The order is locked before its lines, and those by their ids, as every writer does.
-- name: lock_order
SELECT o.id, o.channel_id, o.currency, o.total_net, o.refunded_total, o.sub_total, o.discount_amount, o.version,
  EXISTS (
    SELECT FROM refunds r
    WHERE r.order_id = o.id AND r.channel_id = o.channel_id AND r.external_id = :external_id::text) AS is_known
FROM orders o
WHERE o.id = :order_id AND {visible orders o}
FOR NO KEY UPDATE OF o;

-- name: lock_lines
SELECT i.id, i.quantity, i.quantity_refunded, i.price_total, i.price_total_net, i.tax, (
    SELECT coalesce(sum(m.amount), 0) FROM refund_items m
    WHERE m.order_item_id = i.id AND m.channel_id = i.channel_id) AS refunded_total
FROM order_items i
WHERE i.id = ANY(:ids) AND i.order_id = :order_id AND i.channel_id = :channel_id AND {visible order_items i}
ORDER BY i.id, i.channel_id
FOR NO KEY UPDATE OF i;

-- name: create
-- feeds: Refund
WITH r AS (
  INSERT INTO refunds (order_id, channel_id, external_id, amount, reason, is_made_here)
  VALUES (:order_id, :channel_id, :external_id::text, :amount, :reason::text, true)
  RETURNING *
), items AS (
  INSERT INTO refund_items (refund_id, order_item_id, order_id, channel_id, quantity, amount)
  SELECT r.id, i.order_item_id, r.order_id, r.channel_id, i.quantity, i.amount
  FROM r
  CROSS JOIN unnest(:order_item_ids::int[], :quantities::int[], :amounts::numeric[])
    AS i (order_item_id, quantity, amount)
)
SELECT {refund}
FROM r
JOIN orders d ON d.id = r.order_id AND d.channel_id = r.channel_id;

-- name: order_of
SELECT r.order_id
FROM refunds r
WHERE r.id = :id AND {visible refunds r};

-- name: delete
DELETE FROM refunds r
WHERE r.id = :id AND r.order_id = :order_id AND {visible refunds r}
RETURNING r.id;
