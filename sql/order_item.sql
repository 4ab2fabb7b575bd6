-- Order items: the lines of an order.

-- fragment: order_item
i.id, i.order_id, i.channel_id, i.uuid::text, i.class, i.product_id, i.parent_order_item_id, i.quantity, i.sku,
  i.name, i.notes, i.supplier, i.supplier_code, i.manufacturer, i.manufacturer_code, i.ean_code,
  i.original_price::float8, i.price::float8, i.price_total::float8, i.price_net::float8, i.price_total_net::float8,
  i.customer_price::float8, i.cost_price::float8, i.discount::float8, i.tax::float8, i.tax_percentage, i.tax_code,
  i.quantity_refunded,
  CASE WHEN i.is_bonus THEN 'Y' ELSE 'N' END AS is_bonus, i.minimum_quantity, i.unit, i.package, i.package_unit,
  i.package_unit_quantity, i.purchase_unit, i.purchase_minimum_quantity, i.request_date

-- name: by_ids
-- feeds: OrderItem
SELECT {order_item}
FROM order_items i
WHERE i.id = ANY(:ids) AND {visible order_items i};

-- name: by_order_ids
-- feeds: OrderItem
SELECT {order_item}
FROM order_items i
WHERE i.order_id = ANY(:order_ids) AND {visible order_items i}
ORDER BY i.id;

-- Amounts as they are; the price of one has up to six decimals (decision 23).
-- name: exact_by_order_item_ids
SELECT i.id AS order_item_id,
  money_text(i.original_price, d.currency) AS original_price, money_text(i.price, d.currency) AS price,
  money_text(i.price_total, d.currency) AS price_total, money_text(i.price_net, d.currency) AS price_net,
  money_text(i.price_total_net, d.currency) AS price_total_net,
  money_text(i.customer_price, d.currency) AS customer_price, money_text(i.cost_price, d.currency) AS cost_price,
  money_text(i.discount, d.currency) AS discount, money_text(i.tax, d.currency) AS tax,
  trim_scale(coalesce(i.exact_tax_percentage, i.tax_percentage))::text AS tax_percentage,
  money_text(base_amount(i.price, d.currency_ratio, c.currency), c.currency) AS base_price,
  money_text(base_amount(i.price_total, d.currency_ratio, c.currency), c.currency) AS base_total,
  money_text((
    SELECT coalesce(sum(r.amount), 0) FROM refund_items r
    WHERE r.order_item_id = i.id AND r.order_id = i.order_id AND r.channel_id = i.channel_id), d.currency) AS refunded
FROM order_items i
JOIN orders d ON d.id = i.order_id AND d.channel_id = i.channel_id
JOIN channels c ON c.id = i.channel_id
WHERE i.id = ANY(:order_item_ids) AND {visible order_items i};

-- name: money_by_order_item_ids
-- feeds: Money
SELECT i.id AS order_item_id, money_text(m.amount, d.currency) AS amount, d.currency,
  coalesce(minor_units(d.currency), 2) AS minor_units
FROM order_items i
JOIN orders d ON d.id = i.order_id AND d.channel_id = i.channel_id
CROSS JOIN LATERAL (
  VALUES ('price', i.price), ('price_total', i.price_total), ('price_total_net', i.price_total_net), ('tax', i.tax)
) AS m (name, amount)
WHERE i.id = ANY(:order_item_ids) AND m.name = :name AND {visible order_items i};

-- Canceled shipments do not count.
-- name: fulfillment_by_order_item_ids
SELECT x.order_item_id,
  coalesce(sum(x.quantity) FILTER (WHERE s.status IS DISTINCT FROM 'CANCELED'), 0)::int AS shipped,
  coalesce(sum(x.quantity) FILTER (WHERE s.status = 'DELIVERED'), 0)::int AS delivered
FROM shipment_items x
JOIN shipments s ON s.id = x.shipment_id AND s.channel_id = x.channel_id
WHERE x.order_item_id = ANY(:order_item_ids) AND {visible shipment_items x}
GROUP BY x.order_item_id;

-- What lines of one order are named by, and how many units of each are left to ship.
-- name: keys_by_order_id
SELECT i.id, i.line_id, i.sku,
  CASE WHEN i.class = 'product' THEN greatest(i.quantity - i.quantity_shipped, 0) ELSE 0 END AS quantity_left
FROM order_items i
WHERE i.order_id = :order_id AND i.channel_id = :channel_id AND {visible order_items i}
ORDER BY i.id;

-- Lines of one order, locked by whoever ships them, always in this sequence: what is read here stays true until the
-- writer commits.
-- name: lock
SELECT i.id, i.name, i.sku, i.quantity, i.quantity_shipped
FROM order_items i
WHERE i.id = ANY(:ids) AND i.order_id = :order_id AND i.channel_id = :channel_id AND {visible order_items i}
ORDER BY i.id, i.channel_id
FOR NO KEY UPDATE OF i;
