-- Order items: the lines of an order.

-- fragment: order_item
i.id, i.order_id, i.channel_id, i.uuid::text, i.class, i.product_id, i.parent_order_item_id, i.quantity, i.sku,
  i.name, i.notes, i.supplier, i.supplier_code, i.manufacturer, i.manufacturer_code, i.ean_code,
  i.original_price::float8, i.price::float8, i.price_total::float8, i.price_net::float8, i.price_total_net::float8,
  i.customer_price::float8, i.cost_price::float8, i.discount::float8, i.tax::float8, i.tax_percentage, i.tax_code,
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

-- Canceled shipments do not count.
-- name: fulfillment_by_order_item_ids
SELECT x.order_item_id,
  coalesce(sum(x.quantity) FILTER (WHERE s.status IS DISTINCT FROM 'CANCELED'), 0)::int AS shipped,
  coalesce(sum(x.quantity) FILTER (WHERE s.status = 'DELIVERED'), 0)::int AS delivered
FROM shipment_items x
JOIN shipments s ON s.id = x.shipment_id AND s.channel_id = x.channel_id
WHERE x.order_item_id = ANY(:order_item_ids) AND {visible shipment_items x}
GROUP BY x.order_item_id;

-- Lines of one order, locked by whoever ships them, always in this sequence: what is read here stays true until the
-- writer commits.
-- name: lock
SELECT i.id, i.name, i.sku, i.quantity, i.quantity_shipped
FROM order_items i
WHERE i.id = ANY(:ids) AND i.order_id = :order_id AND i.channel_id = :channel_id AND {visible order_items i}
ORDER BY i.id, i.channel_id
FOR NO KEY UPDATE OF i;
