-- Orders as their customer reads them. Columns follow the type CustomerOrder; `key` is what cursors hold.

-- A base amount is in the channel's currency, and null where nobody knows the rate (decision 23).
-- fragment: money
o.total_net::float8 AS grand_total, base_amount(o.total_net, o.currency_ratio, c.currency)::float8 AS base_grand_total,
  o.invoiced_total::float8 AS grand_total_invoiced,
  base_amount(o.invoiced_total, o.currency_ratio, c.currency)::float8 AS base_grand_total_invoiced,
  o.refunded_total::float8 AS grand_total_refunded,
  base_amount(o.refunded_total, o.currency_ratio, c.currency)::float8 AS base_grand_total_refunded,
  o.sub_total::float8, base_amount(o.sub_total, o.currency_ratio, c.currency)::float8 AS base_sub_total,
  o.total_tax::float8 AS tax_amount, base_amount(o.total_tax, o.currency_ratio, c.currency)::float8 AS base_tax_amount,
  o.discount_amount::float8, base_amount(o.discount_amount, o.currency_ratio, c.currency)::float8 AS base_discount_amount,
  o.postage_gross::float8 AS shipping_amount, base_amount(o.postage_gross, o.currency_ratio, c.currency)::float8 AS base_shipping_amount,
  o.postage_net::float8 AS shipping_amount_incl_tax, o.payment_method, o.payment_status

-- fragment: columns
o.id AS key, '/api/shop/customer-orders/' || o.id AS id, o.id AS _id, o.channel_id, o.customer_id,
  coalesce(o.increment_id, o.id::text) AS increment_id,
  (SELECT w.customer_status FROM order_statuses w WHERE w.code = o.status) AS status,
  c.name AS channel_name, o.is_guest::int, o.email AS customer_email, o.first_name AS customer_first_name,
  o.last_name AS customer_last_name, o.shipping_method, o.shipping_title, o.coupon_code, o.is_gift::int,
  lines.total_item_count, lines.total_qty_ordered, {money},
  c.currency AS base_currency_code, c.currency AS channel_currency_code, o.currency AS order_currency_code,
  to_char(o.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"+00:00"') AS created_at,
  to_char(o.last_modified_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"+00:00"') AS updated_at

-- What is always there is joined as if it might not be: where none of its columns is selected, PostgreSQL leaves it out.
-- fragment: beside
LEFT JOIN channels c ON c.id = o.channel_id
LEFT JOIN LATERAL (
  SELECT count(*)::int AS total_item_count, coalesce(sum(i.quantity), 0)::int AS total_qty_ordered
  FROM order_items i
  WHERE i.order_id = o.id AND i.channel_id = o.channel_id
    AND (i.parent_order_item_id IS NULL OR NOT is_shippable_class(i.class))
) AS lines ON true

-- name: by_id
-- feeds: CustomerOrder
SELECT {columns}
FROM orders o
{beside}
WHERE o.id = :id AND {visible orders o};

-- The page is cut before anything is counted beside it.
-- name: page
-- feeds: CustomerOrder
SELECT {columns}
FROM (
  SELECT o.*
  FROM orders o
  WHERE {visible orders o}{filters}
  ORDER BY {order}
  LIMIT :limit OFFSET :skip
) AS o
{beside}
ORDER BY {order};

-- How many there are, and where the list begins and ends: whether there is a row beyond a cursor.
-- name: count
SELECT count(*)::int AS items_found, min(o.id) AS lowest, max(o.id) AS highest
FROM orders o
WHERE {visible orders o}{filters};

-- filter: status
o.status IN (SELECT w.code FROM order_statuses w WHERE w.customer_status = :status)
-- filter: above
o.id > :above
-- filter: below
o.id < :below

-- sort: ID
o.id
