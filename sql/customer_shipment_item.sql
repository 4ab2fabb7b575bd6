-- Shipment items as their customer reads them. What the item does not say itself is said by its order line; the parts of a
-- bundle are packs (sql/migrations/0022_packs.sql), as they are among the lines of the order (C-35).

-- name: by_shipment_ids
-- feeds: CustomerOrderShipmentItem
SELECT x.number AS key, '/api/shop/shipment-items/' || x.number AS id, x.number AS _id, s.id::text AS shipment_id,
  x.order_item_id, x.name, x.sku, x.quantity AS qty, x.weight::float8
FROM shipments s
CROSS JOIN LATERAL (
  SELECT x.*
  FROM customer_goods(s.id, s.channel_id) AS x
  WHERE true{filters}
  ORDER BY {order}
  LIMIT :limit
) AS x
WHERE s.id = ANY(:shipment_ids::uuid[]) AND {visible shipments s}
ORDER BY {order};

-- name: count_by_shipment_ids
SELECT s.id::text AS shipment_id, count(*)::int AS total
FROM shipments s
CROSS JOIN LATERAL customer_goods(s.id, s.channel_id) AS x
WHERE s.id = ANY(:shipment_ids::uuid[]) AND {visible shipments s}{filters}
GROUP BY s.id;

-- name: ends_by_shipment_ids
SELECT s.id::text AS shipment_id, min(x.number) AS lowest, max(x.number) AS highest
FROM shipments s
CROSS JOIN LATERAL customer_goods(s.id, s.channel_id) AS x
WHERE s.id = ANY(:shipment_ids::uuid[]) AND {visible shipments s}{filters}
GROUP BY s.id;

-- filter: above
x.number > :above
-- filter: below
x.number < :below

-- sort: ID
x.number
