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

-- Reads each piece of an index up to the page and cuts the page from all of them, by keys that the index holds; only then
-- are the rows fetched, one for each key, as LIMIT 1 says to the planner. No number of rows depends on a parameter that
-- the planner sees, so it plans once.
-- form: page
-- filters: statuses?, company_ids?, created_at.greater_than?, created_at.less_than?
-- sorts: CREATED_AT
-- each: scope_channel_ids::int[], scope_company_ids::int[], statuses::text[], company_ids::int[]
{piecewise}

-- form: page
-- reaches: CHANNELS
-- filters: statuses, last_modified_at.greater_than?, last_modified_at.less_than?
-- sorts: LAST_MODIFIED_AT
-- each: scope_channel_ids::int[], statuses::text[]
{piecewise}

-- form: page
-- filters: last_modified_at.greater_than?, last_modified_at.less_than?
-- sorts: LAST_MODIFIED_AT
-- each: scope_channel_ids::int[], scope_company_ids::int[]
{piecewise}

-- form: page
-- reaches: CHANNELS
-- filters: statuses, expected_delivery_at.greater_than?, expected_delivery_at.less_than?
-- sorts: EXPECTED_DELIVERY_AT
-- each: scope_channel_ids::int[], statuses::text[]
{piecewise}

-- form: page
-- reaches: EVERYTHING, CHANNELS
-- filters: expected_delivery_at.greater_than?, expected_delivery_at.less_than?
-- sorts: EXPECTED_DELIVERY_AT
-- each: scope_channel_ids::int[]
{piecewise}

-- fragment: piecewise
SELECT {shipment}
FROM (
  SELECT s.*
  FROM {pieces s}
  CROSS JOIN LATERAL (
    SELECT {keys s}
    FROM shipments s
    WHERE {visible s}{filters}
    ORDER BY {order}
    LIMIT (SELECT :limit::bigint + :skip::bigint)
  ) AS s
  ORDER BY {order}
  LIMIT (SELECT :limit::bigint) OFFSET (SELECT :skip::bigint)
) AS k
CROSS JOIN LATERAL (SELECT s.* FROM shipments s WHERE s.id = k.id AND s.channel_id = k.channel_id LIMIT 1) AS s
ORDER BY {order};

-- name: count
SELECT count(*)::int AS items_found
FROM shipments s
WHERE {visible s}{filters};

-- form: count
-- reaches: EVERYTHING, CHANNELS
-- filters: statuses?
SELECT coalesce(sum(s.n), 0)::int AS items_found
FROM shipment_tallies s
WHERE s.company_id = 0 AND {visible s}{filters};

-- form: count
-- reaches: EVERYTHING, CHANNELS
-- filters: company_ids, statuses?
SELECT coalesce(sum(s.n), 0)::int AS items_found
FROM shipment_tallies s
WHERE s.company_id <> 0 AND {visible s}{filters};

-- form: count
-- reaches: COMPANIES
-- filters: company_ids?, statuses?
SELECT coalesce(sum(s.n), 0)::int AS items_found
FROM shipment_tallies s
WHERE s.company_id <> 0 AND {visible s}{filters};

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
s.company_id = ANY(:company_ids)
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
