-- Sources: the keys of our rows in other systems.

-- name: by_order_ids
-- feeds: Source
SELECT x.order_id, x.id, x.name
FROM order_sources x
WHERE x.order_id = ANY(:order_ids) AND {visible x}
ORDER BY x.name, x.id;

-- name: by_order_item_ids
-- feeds: Source
SELECT x.order_item_id, x.id, x.name
FROM order_item_sources x
WHERE x.order_item_id = ANY(:order_item_ids) AND {visible x}
ORDER BY x.name, x.id;

-- name: by_shipment_ids
-- feeds: Source
SELECT x.shipment_id::text, x.id, x.name
FROM shipment_sources x
WHERE x.shipment_id = ANY(:shipment_ids::uuid[]) AND {visible x}
ORDER BY x.name, x.id;
