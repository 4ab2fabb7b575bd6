-- Order lines as their customer reads them. The parts of a bundle hang on its line and are left out (C-35): what they cost,
-- and what is canceled and paid back of them, is the bundle's (sql/migrations/0029_bundles.sql).

-- fragment: shown
(i.parent_order_item_id IS NULL OR NOT is_shippable_class(i.class))

-- Of a line on which others hang; where none do, one look into an index tells.
-- fragment: costs
LEFT JOIN LATERAL (
  SELECT max(w.price_total) AS price_total, max(w.price_total_net) AS price_total_net, max(w.tax) AS tax,
    max(w.discount) AS discount, max(w.tax_percentage) AS tax_percentage, max(w.canceled) AS canceled,
    max(w.refunded) AS refunded
  FROM (
    SELECT FROM order_items p
    WHERE p.parent_order_item_id = i.id AND p.order_id = i.order_id AND p.channel_id = i.channel_id
    LIMIT 1
  ) AS h
  CROSS JOIN LATERAL rolled_up(i.id, i.order_id, i.channel_id) AS w
) AS u ON true
CROSS JOIN LATERAL (
  SELECT i.price + coalesce(round((u.price_total - i.price_total) / nullif(i.quantity, 0), 6), 0) AS price,
    i.price_net + coalesce(round((u.price_total_net - i.price_total_net) / nullif(i.quantity, 0), 6), 0) AS price_net,
    coalesce(u.price_total, i.price_total) AS price_total, coalesce(u.price_total_net, i.price_total_net) AS price_total_net,
    coalesce(u.tax, i.tax) AS tax, coalesce(u.discount, i.discount * i.quantity, 0) AS discount,
    coalesce(u.tax_percentage, i.exact_tax_percentage, i.tax_percentage) AS tax_percentage,
    greatest(i.quantity_canceled, u.canceled) AS quantity_canceled,
    greatest(i.quantity_refunded, u.refunded) AS quantity_refunded
) AS s

-- name: by_order_ids
-- feeds: CustomerOrderItem
SELECT i.id AS key, '/api/shop/customer-order-items/' || i.id AS id, i.id AS _id, i.order_id, i.product_id, i.sku, i.name,
  i.type, i.additional::text, i.quantity AS qty_ordered, i.quantity_shipped::int AS qty_shipped,
  i.quantity_invoiced AS qty_invoiced, s.quantity_canceled AS qty_canceled, s.quantity_refunded AS qty_refunded,
  s.price::float8, base_amount(s.price, o.currency_ratio, c.currency)::float8 AS base_price,
  s.price_total::float8 AS total, base_amount(s.price_total, o.currency_ratio, c.currency)::float8 AS base_total,
  s.price_net::float8 AS price_incl_tax, s.price_total_net::float8 AS total_incl_tax,
  s.tax_percentage::float8 AS tax_percent, (s.price_total_net - s.price_total)::float8 AS tax_amount,
  round(s.discount, coalesce(minor_units(o.currency), 2))::float8 AS discount_amount,
  coalesce(CASE WHEN u.price_total IS NULL THEN round(i.discount * 100 / nullif(i.price + i.discount, 0), 2)
    ELSE round(s.discount * 100 / nullif(s.price_total + s.discount, 0), 2) END, 0)::float8 AS discount_percent
FROM orders o
LEFT JOIN channels c ON c.id = o.channel_id
CROSS JOIN LATERAL (
  SELECT i.*
  FROM order_items i
  WHERE i.order_id = o.id AND i.channel_id = o.channel_id AND {shown}{filters}
  ORDER BY {order}
  LIMIT :limit
) AS i
{costs}
WHERE o.id = ANY(:order_ids) AND {visible orders o}
ORDER BY {order};

-- name: count_by_order_ids
SELECT i.order_id, count(*)::int AS total
FROM order_items i
WHERE i.order_id = ANY(:order_ids) AND {shown} AND {visible order_items i}{filters}
GROUP BY i.order_id;

-- name: ends_by_order_ids
SELECT i.order_id, min(i.id) AS lowest, max(i.id) AS highest
FROM order_items i
WHERE i.order_id = ANY(:order_ids) AND {shown} AND {visible order_items i}{filters}
GROUP BY i.order_id;

-- Amounts as they are; the price of one has up to six decimals (decision 23).
-- name: exact_by_order_item_ids
SELECT i.id AS order_item_id, money_text(s.price, d.currency) AS price, money_text(s.price_total, d.currency) AS price_total,
  money_text(s.tax, d.currency) AS tax, trim_scale(s.tax_percentage)::text AS tax_percentage,
  money_text(base_amount(s.price, d.currency_ratio, c.currency), c.currency) AS base_price,
  money_text(base_amount(s.price_total, d.currency_ratio, c.currency), c.currency) AS base_total
FROM order_items i
JOIN orders d ON d.id = i.order_id AND d.channel_id = i.channel_id
JOIN channels c ON c.id = i.channel_id
{costs}
WHERE i.id = ANY(:order_item_ids) AND {visible order_items i};

-- name: total_by_order_item_ids
-- feeds: Money
SELECT i.id AS order_item_id, money_text(s.price_total, d.currency) AS amount, d.currency,
  coalesce(minor_units(d.currency), 2) AS minor_units
FROM order_items i
JOIN orders d ON d.id = i.order_id AND d.channel_id = i.channel_id
{costs}
WHERE i.id = ANY(:order_item_ids) AND {visible order_items i};

-- filter: above
i.id > :above
-- filter: below
i.id < :below

-- sort: ID
i.id
