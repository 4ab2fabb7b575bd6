-- Shipment items: how many of an order line a shipment holds.

-- fragment: shipment_item
x.id::text, x.shipment_id::text, x.order_item_id, x.name, x.sku, x.quantity, x.created_at, x.last_modified_at

-- name: by_id
-- feeds: ShipmentItem
SELECT {shipment_item}
FROM shipment_items x
WHERE x.id = :id AND {visible x};

-- name: by_shipment_ids
-- feeds: ShipmentItem
SELECT {shipment_item}
FROM shipment_items x
WHERE x.shipment_id = ANY(:shipment_ids::uuid[]) AND {visible x}
ORDER BY x.order_item_id, x.id;

-- name: page
-- feeds: ShipmentItem
SELECT {shipment_item}
FROM shipment_items x
WHERE {visible x}{filters}
ORDER BY {order}
LIMIT :limit OFFSET :skip;

-- See sql/shipment.sql.
-- form: page
-- filters: created_at.greater_than?, created_at.less_than?, last_modified_at.greater_than?, last_modified_at.less_than?
-- sorts: CREATED_AT, LAST_MODIFIED_AT
-- each: scope_channel_ids::int[], scope_company_ids::int[]
SELECT {shipment_item}
FROM (
  SELECT x.*
  FROM {pieces x}
  CROSS JOIN LATERAL (
    SELECT {keys x}
    FROM shipment_items x
    WHERE {visible x}{filters}
    ORDER BY {order}
    LIMIT (SELECT :limit::bigint + :skip::bigint)
  ) AS x
  ORDER BY {order}
  LIMIT (SELECT :limit::bigint) OFFSET (SELECT :skip::bigint)
) AS k
CROSS JOIN LATERAL (
  SELECT x.* FROM shipment_items x WHERE x.id = k.id AND x.channel_id = k.channel_id LIMIT 1
) AS x
ORDER BY {order};

-- name: count
SELECT count(*)::int AS items_found
FROM shipment_items x
WHERE {visible x}{filters};

-- filter: ids
x.id = ANY(:ids)
-- filter: shipment_ids
x.shipment_id = ANY(:shipment_ids)
-- filter: order_item_ids
x.order_item_id = ANY(:order_item_ids)
-- filter: names
x.name = ANY(:names)
-- filter: skus
x.sku = ANY(:skus)
-- filter: quantity.greater_than
x.quantity >= :quantity_greater_than
-- filter: quantity.less_than
x.quantity <= :quantity_less_than
-- filter: quantity.equal
x.quantity = :quantity_equal
-- filter: created_at.greater_than
x.created_at >= :created_at_greater_than
-- filter: created_at.less_than
x.created_at <= :created_at_less_than
-- filter: last_modified_at.greater_than
x.last_modified_at >= :last_modified_at_greater_than
-- filter: last_modified_at.less_than
x.last_modified_at <= :last_modified_at_less_than

-- sort: ID
x.id
-- sort: LAST_MODIFIED_AT
x.last_modified_at
-- sort: CREATED_AT
x.created_at
-- sort: SHIPMENT_ID
x.shipment_id
-- sort: ORDER_ITEM_ID
x.order_item_id
-- sort: SKU
x.sku
-- sort: QUANTITY
x.quantity
-- sort: NAME
x.name
