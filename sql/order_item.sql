-- Order items: the lines of an order.

-- fragment: order_item
i.id, i.order_id, i.channel_id, i.uuid::text, i.line_id, i.class, i.product_id, i.parent_order_item_id, i.quantity, i.sku,
  i.name, i.notes, i.supplier, i.supplier_code, i.manufacturer, i.manufacturer_code, i.ean_code,
  i.original_price::float8, i.price::float8, i.price_total::float8, i.price_net::float8, i.price_total_net::float8,
  i.customer_price::float8, {of_seller i cost_price}::float8 AS cost_price, i.discount::float8, i.tax::float8, i.tax_percentage, i.tax_code,
  i.quantity_refunded,
  CASE WHEN i.is_bonus THEN 'Y' ELSE 'N' END AS is_bonus, i.minimum_quantity, i.unit, i.package, i.package_unit,
  i.package_unit_quantity, i.purchase_unit, i.purchase_minimum_quantity, i.request_date, i.quantity_unit,
  i.quantity_canceled, i.quantity_shipped::int, i.quantity_delivered::int,
  CASE WHEN is_shippable_class(i.class)
    THEN greatest(0, open_quantity(i.quantity, i.quantity_canceled) - i.quantity_shipped) ELSE 0 END::int
    AS quantity_remaining,
  {is_shippable} AS is_shippable, i.version

-- A bundle is shipped as far as its parts are, and not itself.
-- fragment: is_shippable
(is_shippable_class(i.class) AND NOT {is_bundle})::boolean

-- As the function is_bundle; where a line has no parts, one look into an index tells.
-- fragment: is_bundle
EXISTS (
  SELECT FROM order_items p
  WHERE p.parent_order_item_id = i.id AND p.order_id = i.order_id AND p.channel_id = i.channel_id AND p.class = 'product'
    AND p.quantity > 0)

-- name: by_ids
-- feeds: OrderItem
SELECT {order_item}
FROM order_items i
WHERE i.id = ANY(:ids::int[]) AND {visible order_items i};

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
  money_text(i.customer_price, d.currency) AS customer_price, money_text({of_seller i cost_price}, d.currency) AS cost_price,
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

-- What lines of one order are named by, and how many units of each are left to ship.
-- name: keys_by_order_id
SELECT i.id, i.line_id, i.sku,
  CASE WHEN is_shippable_class(i.class) AND NOT {is_bundle}
    THEN greatest(open_quantity(i.quantity, i.quantity_canceled) - i.quantity_shipped, 0) ELSE 0 END AS quantity_left
FROM order_items i
WHERE i.order_id = :order_id AND i.channel_id = :channel_id AND {visible order_items i}
ORDER BY i.id;

-- Lines of one order, locked by whoever ships them, always in this sequence: what is read here stays true until the
-- writer commits.
-- name: lock
SELECT i.id, i.name, i.sku, i.class, {is_bundle} AS is_bundle,
  open_quantity(i.quantity, i.quantity_canceled) AS quantity, i.quantity_shipped
FROM order_items i
WHERE i.id = ANY(:ids) AND i.order_id = :order_id AND i.channel_id = :channel_id AND {visible order_items i}
ORDER BY i.id, i.channel_id
FOR NO KEY UPDATE OF i;

-- All that a new shipment of an order rests on, by one statement, as each of `order.lock`, `carrier.share`,
-- `track_and_trace.taken` and `lock` has it, and locked in their sequence: nothing of an order that is not there.
-- Rows that are locked are read as they are then; where codes are taken meanwhile, their constraint tells. A code is `awaited`
-- where news waits for it, which moves the shipment as soon as that is made.
-- name: lock_for_shipment
WITH ordered AS MATERIALIZED (
  SELECT o.id, o.channel_id, o.status
  FROM orders o
  WHERE o.id = :order_id AND (:channel_id::int IS NULL OR o.channel_id = :channel_id) AND {visible orders o}
  ORDER BY o.channel_id
  FOR NO KEY UPDATE OF o
), shared AS MATERIALIZED (
  SELECT c.id, c.key, c.name, c.track_and_trace_url
  FROM carriers c
  WHERE c.id = ANY(:carrier_ids::int[])
    AND (c.channel_id IS NULL OR c.channel_id = ANY(ARRAY(SELECT d.channel_id FROM ordered d))) AND {visible carriers c}
    AND EXISTS (SELECT FROM ordered)
  ORDER BY c.id
  FOR KEY SHARE OF c
), lines AS MATERIALIZED (
  SELECT i.id, i.name, i.sku, i.class, {is_bundle} AS is_bundle,
    open_quantity(i.quantity, i.quantity_canceled) AS quantity, i.quantity_shipped
  FROM order_items i
  WHERE i.id = ANY(:line_ids::int[]) AND i.order_id = :order_id
    AND i.channel_id = ANY(ARRAY(SELECT d.channel_id FROM ordered d)) AND {visible order_items i}
  ORDER BY i.id, i.channel_id
  FOR NO KEY UPDATE OF i
)
SELECT 'orders' AS list, d.id, d.channel_id, d.status, w.is_shippable, NULL AS key, NULL AS name, NULL AS track_and_trace_url,
  NULL AS sku, NULL AS class, NULL::boolean AS is_bundle, NULL::int AS quantity, NULL::bigint AS quantity_shipped
FROM ordered d
LEFT JOIN order_statuses w ON w.code = d.status
UNION ALL
SELECT 'carriers', c.id, NULL, NULL, NULL, c.key, c.name, c.track_and_trace_url, NULL, NULL, NULL, NULL, NULL
FROM shared c
UNION ALL
SELECT k.list, w.place::int - 1, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
FROM ordered d
CROSS JOIN unnest(:codes::text[], :carrier_ids::int[]) WITH ORDINALITY AS w (code, carrier_id, place)
CROSS JOIN LATERAL (
  VALUES ('taken', is_code_taken(w.code, w.carrier_id, d.channel_id, d.id, NULL, NULL)), ('awaited', is_code_awaited(w.code))
) AS k (list, holds)
WHERE k.holds
UNION ALL
SELECT 'lines', i.id, NULL, NULL, NULL, NULL, i.name, NULL, i.sku, i.class, i.is_bundle, i.quantity, i.quantity_shipped
FROM lines i;

-- The order that a line is of; see `order.lock`.
-- name: order_of
SELECT i.order_id
FROM order_items i
WHERE i.id = :id AND {visible order_items i};

-- A line with all that it is made of, down to the last part, `level` levels below it, locked like above. The order is
-- locked before.
-- name: lock_whole
WITH RECURSIVE whole (id, parent_id, level) AS (
  SELECT i.id, NULL::int, 0
  FROM order_items i
  WHERE i.id = :id AND i.order_id = :order_id AND i.channel_id = :channel_id AND {visible order_items i}
  UNION ALL
  SELECT p.id, p.parent_order_item_id, w.level + 1
  FROM whole w
  JOIN order_items p ON p.parent_order_item_id = w.id AND p.order_id = :order_id AND p.channel_id = :channel_id
  WHERE p.class = 'product' AND {visible order_items p}
)
SELECT i.id, i.order_id, i.channel_id, w.parent_id, w.level, i.quantity, i.quantity_canceled, i.quantity_shipped, i.version
FROM order_items i
JOIN whole w USING (id)
WHERE i.channel_id = :channel_id AND {visible order_items i}
ORDER BY i.id, i.channel_id
FOR NO KEY UPDATE OF i;

-- Units that are not to be shipped any more, of a line and of its parts, those of each at the same place.
-- name: cancel
UPDATE order_items i
SET quantity_canceled = i.quantity_canceled + w.quantity
FROM unnest(:ids::int[], :quantities::int[]) AS w (id, quantity)
WHERE i.id = w.id AND i.channel_id = :channel_id AND {visible order_items i};
