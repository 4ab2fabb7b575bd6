-- Sources: the keys of our rows in other systems.

-- name: by_order_ids
-- feeds: Source
SELECT k.order_id, k.id, k.name
FROM order_sources k
WHERE k.order_id = ANY(:order_ids) AND {visible order_sources k}
ORDER BY k.name, k.id;

-- name: by_order_item_ids
-- feeds: Source
SELECT k.order_item_id, k.id, k.name
FROM order_item_sources k
WHERE k.order_item_id = ANY(:order_item_ids) AND {visible order_item_sources k}
ORDER BY k.name, k.id;

-- name: by_shipment_ids
-- feeds: Source
SELECT k.shipment_id::text, k.id, k.name
FROM shipment_sources k
WHERE k.shipment_id = ANY(:shipment_ids::uuid[]) AND {visible shipment_sources k}
ORDER BY k.name, k.id;
