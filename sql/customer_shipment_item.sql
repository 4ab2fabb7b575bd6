-- Shipment items as their customer reads them. What the item does not say itself is said by its order line.

-- name: by_shipment_ids
-- feeds: CustomerOrderShipmentItem
SELECT x.number AS key, '/api/shop/shipment-items/' || x.number AS id, x.number AS _id, x.shipment_id::text,
  x.order_item_id, coalesce(x.name, i.name) AS name, coalesce(x.sku, i.sku) AS sku, coalesce(x.quantity, 0) AS qty,
  coalesce(x.weight, i.weight * x.quantity)::float8 AS weight
FROM shipments s
CROSS JOIN LATERAL (
  SELECT x.*
  FROM shipment_items x
  WHERE x.shipment_id = s.id AND x.channel_id = s.channel_id{filters}
  ORDER BY {order}
  LIMIT :limit
) AS x
JOIN order_items i ON i.id = x.order_item_id AND i.channel_id = x.channel_id
WHERE s.id = ANY(:shipment_ids::uuid[]) AND {visible shipments s}
ORDER BY {order};

-- name: count_by_shipment_ids
SELECT x.shipment_id::text, count(*)::int AS total
FROM shipment_items x
WHERE x.shipment_id = ANY(:shipment_ids::uuid[]) AND {visible shipment_items x}{filters}
GROUP BY x.shipment_id;

-- name: ends_by_shipment_ids
SELECT x.shipment_id::text, min(x.number) AS lowest, max(x.number) AS highest
FROM shipment_items x
WHERE x.shipment_id = ANY(:shipment_ids::uuid[]) AND {visible shipment_items x}{filters}
GROUP BY x.shipment_id;

-- filter: above
x.number > :above
-- filter: below
x.number < :below

-- sort: ID
x.number
