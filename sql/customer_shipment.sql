-- Shipments as their customer reads them, under a small number and with four words instead of nine and null.

-- The store keeps the B2B values; this is the one place that translates them (behaviour, section 3).
-- fragment: status
CASE
  WHEN s.status = 'DELIVERED' THEN 'delivered'
  WHEN s.status = 'CANCELED' THEN 'cancelled'
  WHEN s.status IN ('IN_TRANSIT', 'OUT_FOR_DELIVERY', 'PARTIALLY_DELIVERED', 'FAILED_DELIVERY', 'EXCEPTION') THEN 'shipped'
  ELSE 'pending'
END

-- fragment: columns
s.number AS key, '/api/shop/shipments/' || s.number AS id, s.number AS _id, s.id::text AS shipment_id, s.order_id,
  {status} AS status, parcel.track_number, parcel.carrier_code, parcel.carrier_title, goods.total_qty,
  goods.total_weight, s.email_sent, s.shipping_number,
  to_char(s.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"+00:00"') AS created_at,
  to_char(s.last_modified_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"+00:00"') AS updated_at

-- The first code stands for the shipment (C-33). Carriers have no code, so it is made of the name. What is always there is
-- joined as if it might not be: see sql/customer_order.sql.
-- fragment: beside
LEFT JOIN LATERAL (
  SELECT t.code AS track_number, c.name AS carrier_title,
    trim('_' FROM regexp_replace(lower(c.name), '[^a-z0-9]+', '_', 'g')) AS carrier_code
  FROM track_and_traces t
  LEFT JOIN carriers c ON c.id = t.carrier_id AND {visible carriers c}
  WHERE t.shipment_id = s.id AND t.channel_id = s.channel_id
  ORDER BY t.created_at, t.id
  LIMIT 1
) AS parcel ON true
LEFT JOIN LATERAL (
  SELECT coalesce(sum(x.quantity), 0)::int AS total_qty, sum(x.weight)::float8 AS total_weight
  FROM customer_goods(s.id, s.channel_id) AS x
) AS goods ON true

-- name: by_number
-- feeds: CustomerOrderShipment
SELECT {columns}
FROM shipments s
{beside}
WHERE s.number = :number AND {visible shipments s};

-- name: by_order_ids
-- feeds: CustomerOrderShipment
SELECT {columns}
FROM orders o
CROSS JOIN LATERAL (
  SELECT s.*
  FROM shipments s
  WHERE s.order_id = o.id AND s.channel_id = o.channel_id{filters}
  ORDER BY {order}
  LIMIT :limit
) AS s
{beside}
WHERE o.id = ANY(:order_ids) AND {visible orders o}
ORDER BY {order};

-- name: count_by_order_ids
SELECT s.order_id, count(*)::int AS total
FROM shipments s
WHERE s.order_id = ANY(:order_ids) AND {visible shipments s}{filters}
GROUP BY s.order_id;

-- name: ends_by_order_ids
SELECT s.order_id, min(s.number) AS lowest, max(s.number) AS highest
FROM shipments s
WHERE s.order_id = ANY(:order_ids) AND {visible shipments s}{filters}
GROUP BY s.order_id;

-- The orders come first: a customer has few, the store has many shipments.
-- name: page
-- feeds: CustomerOrderShipment
SELECT {columns}
FROM (
  SELECT s.*
  FROM orders o
  JOIN shipments s ON s.order_id = o.id AND s.channel_id = o.channel_id
  WHERE {visible orders o}{filters}
  ORDER BY {order}
  LIMIT :limit OFFSET :skip
) AS s
{beside}
ORDER BY {order};

-- How many there are, and where the list begins and ends: whether there is a row beyond a cursor.
-- name: count
SELECT count(*)::int AS items_found, min(s.number) AS lowest, max(s.number) AS highest
FROM orders o
JOIN shipments s ON s.order_id = o.id AND s.channel_id = o.channel_id
WHERE {visible orders o}{filters};

-- filter: order_id
s.order_id = :order_id
-- filter: status
{status} = :status
-- filter: above
s.number > :above
-- filter: below
s.number < :below

-- sort: ID
s.number
