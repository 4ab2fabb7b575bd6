-- Order lines as their customer reads them. The parts of a bundle hang on its line and are left out (C-35).

-- name: by_order_ids
-- feeds: CustomerOrderItem
SELECT i.id AS key, '/api/shop/customer-order-items/' || i.id AS id, i.id AS _id, i.order_id, i.product_id, i.sku, i.name,
  i.type, i.additional::text, i.quantity AS qty_ordered, i.quantity_shipped::int AS qty_shipped,
  i.quantity_invoiced AS qty_invoiced, i.quantity_canceled AS qty_canceled, i.quantity_refunded AS qty_refunded,
  i.price::float8, base_amount(i.price, o.currency_ratio, c.currency)::float8 AS base_price,
  i.price_total::float8 AS total, base_amount(i.price_total, o.currency_ratio, c.currency)::float8 AS base_total,
  i.price_net::float8 AS price_incl_tax, i.price_total_net::float8 AS total_incl_tax,
  coalesce(i.exact_tax_percentage, i.tax_percentage)::float8 AS tax_percent, (i.price_total_net - i.price_total)::float8 AS tax_amount,
  round(coalesce(i.discount, 0) * i.quantity, coalesce(minor_units(o.currency), 2))::float8 AS discount_amount,
  coalesce(round(i.discount * 100 / nullif(i.price + i.discount, 0), 2), 0)::float8 AS discount_percent
FROM orders o
LEFT JOIN channels c ON c.id = o.channel_id
CROSS JOIN LATERAL (
  SELECT i.*
  FROM order_items i
  WHERE i.order_id = o.id AND i.channel_id = o.channel_id AND i.parent_order_item_id IS NULL{filters}
  ORDER BY {order}
  LIMIT :limit
) AS i
WHERE o.id = ANY(:order_ids) AND {visible orders o}
ORDER BY {order};

-- name: count_by_order_ids
SELECT i.order_id, count(*)::int AS total
FROM order_items i
WHERE i.order_id = ANY(:order_ids) AND i.parent_order_item_id IS NULL AND {visible order_items i}{filters}
GROUP BY i.order_id;

-- name: ends_by_order_ids
SELECT i.order_id, min(i.id) AS lowest, max(i.id) AS highest
FROM order_items i
WHERE i.order_id = ANY(:order_ids) AND i.parent_order_item_id IS NULL AND {visible order_items i}{filters}
GROUP BY i.order_id;

-- filter: above
i.id > :above
-- filter: below
i.id < :below

-- sort: ID
i.id
