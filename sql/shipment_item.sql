-- Shipment items: how many of an order line a shipment holds.

-- fragment: shipment_item
i.id::text, i.shipment_id::text, i.order_item_id, i.name, i.sku, i.quantity, i.created_at, i.last_modified_at

-- name: by_id
-- feeds: ShipmentItem
SELECT {shipment_item}
FROM shipment_items i
WHERE i.id = :id AND {visible i};

-- name: by_shipment_ids
-- feeds: ShipmentItem
SELECT {shipment_item}
FROM shipment_items i
WHERE i.shipment_id = ANY(:shipment_ids::uuid[]) AND {visible i}
ORDER BY i.order_item_id, i.id;

-- name: page
-- feeds: ShipmentItem
SELECT {shipment_item}
FROM shipment_items i
WHERE {visible i}{filters}
ORDER BY {order}
LIMIT :limit OFFSET :skip;

-- name: count
SELECT count(*)::int AS items_found
FROM shipment_items i
WHERE {visible i}{filters};

-- filter: ids
i.id = ANY(:ids)
-- filter: shipment_ids
i.shipment_id = ANY(:shipment_ids)
-- filter: order_item_ids
i.order_item_id = ANY(:order_item_ids)
-- filter: names
i.name = ANY(:names)
-- filter: skus
i.sku = ANY(:skus)
-- filter: quantity.greater_than
i.quantity >= :quantity_greater_than
-- filter: quantity.less_than
i.quantity <= :quantity_less_than
-- filter: quantity.equal
i.quantity = :quantity_equal
-- filter: created_at.greater_than
i.created_at >= :created_at_greater_than
-- filter: created_at.less_than
i.created_at <= :created_at_less_than
-- filter: last_modified_at.greater_than
i.last_modified_at >= :last_modified_at_greater_than
-- filter: last_modified_at.less_than
i.last_modified_at <= :last_modified_at_less_than

-- sort: ID
i.id
-- sort: LAST_MODIFIED_AT
i.last_modified_at
-- sort: CREATED_AT
i.created_at
-- sort: SHIPMENT_ID
i.shipment_id
-- sort: ORDER_ITEM_ID
i.order_item_id
-- sort: SKU
i.sku
-- sort: QUANTITY
i.quantity
-- sort: NAME
i.name
