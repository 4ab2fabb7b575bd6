-- Order items: the lines of an order.

-- fragment: order_item
i.id, i.order_id, i.channel_id, i.uuid::text, i.class, i.product_id, i.parent_order_item_id, i.quantity, i.sku,
  i.name, i.notes, i.supplier, i.supplier_code, i.manufacturer, i.manufacturer_code, i.ean_code,
  i.original_price::float8, i.price::float8, i.price_total::float8, i.price_net::float8, i.price_total_net::float8,
  i.customer_price::float8, i.cost_price::float8, i.discount::float8, i.tax::float8, i.tax_percentage, i.tax_code,
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
  WHERE p.parent_order_item_id = i.id AND p.order_id = i.order_id AND p.channel_id = i.channel_id AND p.class = 'product')

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

-- Lines of one order, locked by whoever ships them, always in this sequence: what is read here stays true until the
-- writer commits.
-- name: lock
SELECT i.id, i.name, i.sku, i.class, {is_bundle} AS is_bundle,
  open_quantity(i.quantity, i.quantity_canceled) AS quantity, i.quantity_shipped
FROM order_items i
WHERE i.id = ANY(:ids) AND i.order_id = :order_id AND i.channel_id = :channel_id AND {visible order_items i}
ORDER BY i.id, i.channel_id
FOR NO KEY UPDATE OF i;

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
  WHERE p.class = 'product'
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
