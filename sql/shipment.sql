-- Shipments. Columns follow the type Shipment; `order_id` and `channel_id` decide who may see a row.

-- fragment: shipment
s.id::text, s.order_id, s.status, s.expected_delivery_at, s.created_at, s.last_modified_at

-- name: by_id
-- feeds: Shipment
SELECT {shipment}
FROM shipments s
WHERE s.id = :id AND {visible s};

-- name: by_order_ids
-- feeds: Shipment
SELECT {shipment}
FROM shipments s
WHERE s.order_id = ANY(:order_ids) AND {visible s}
ORDER BY s.created_at DESC, s.id;

-- name: page
-- feeds: Shipment
SELECT {shipment}
FROM shipments s
WHERE {visible s}{filters}
ORDER BY {order}
LIMIT :limit OFFSET :skip;

-- name: count
SELECT count(*)::int AS items_found
FROM shipments s
WHERE {visible s}{filters};

-- filter: ids
s.id = ANY(:ids)
-- filter: order_ids
s.order_id = ANY(:order_ids)
-- filter: statuses
s.status = ANY(:statuses)
-- filter: created_at.greater_than
s.created_at >= :created_at_greater_than
-- filter: created_at.less_than
s.created_at <= :created_at_less_than
-- filter: last_modified_at.greater_than
s.last_modified_at >= :last_modified_at_greater_than
-- filter: last_modified_at.less_than
s.last_modified_at <= :last_modified_at_less_than
-- filter: expected_delivery_at.greater_than
s.expected_delivery_at >= :expected_delivery_at_greater_than
-- filter: expected_delivery_at.less_than
s.expected_delivery_at <= :expected_delivery_at_less_than
-- filter: carrier_ids
EXISTS (SELECT FROM track_and_traces t WHERE t.shipment_id = s.id AND t.carrier_id = ANY(:carrier_ids))
-- filter: codes
EXISTS (SELECT FROM track_and_traces t WHERE t.shipment_id = s.id AND t.code = ANY(:codes))
-- filter: skus
EXISTS (SELECT FROM shipment_items i WHERE i.shipment_id = s.id AND i.sku = ANY(:skus))
-- filter: company_ids
EXISTS (SELECT FROM orders o WHERE o.id = s.order_id AND o.channel_id = s.channel_id AND o.company_id = ANY(:company_ids))
-- filter: late
coalesce(s.expected_delivery_at < now() AND s.status IS DISTINCT FROM 'DELIVERED' AND s.status IS DISTINCT FROM 'CANCELED', false) = :late

-- sort: ID
s.id
-- sort: LAST_MODIFIED_AT
s.last_modified_at
-- sort: CREATED_AT
s.created_at
-- sort: EXPECTED_DELIVERY_AT
s.expected_delivery_at
-- sort: STATUS
s.status
-- sort: ORDER_ID
s.order_id
