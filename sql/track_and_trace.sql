-- Track and traces: the codes under which carriers know a shipment.

-- fragment: track_and_trace
t.id::text, t.shipment_id::text, t.carrier_id, t.code, t.external_id, t.status, t.sub_status, t.created_at,
  t.last_modified_at, t.version

-- name: by_id
-- feeds: TrackAndTrace
SELECT {track_and_trace}
FROM track_and_traces t
WHERE t.id = :id AND {visible track_and_traces t};

-- name: by_ids
-- feeds: TrackAndTrace
SELECT {track_and_trace}
FROM track_and_traces t
WHERE t.id = ANY(:ids::uuid[]) AND {visible track_and_traces t};

-- name: by_shipment_ids
-- feeds: TrackAndTrace
SELECT {track_and_trace}
FROM track_and_traces t
WHERE t.shipment_id = ANY(:shipment_ids::uuid[]) AND {visible track_and_traces t}
ORDER BY t.created_at, t.id;

-- The newest codes of each carrier, capped: a carrier's whole history is no answer (decision 6).
-- name: newest_by_carrier_ids
-- feeds: TrackAndTrace
SELECT {track_and_trace}
FROM unnest(:carrier_ids::int[]) AS c (id)
CROSS JOIN LATERAL (
  SELECT t.*
  FROM track_and_traces t
  WHERE t.carrier_id = c.id AND {visible track_and_traces t}
  ORDER BY t.created_at DESC, t.id
  LIMIT :limit
) AS t
ORDER BY t.created_at DESC, t.id;

-- name: page
-- feeds: TrackAndTrace
SELECT {track_and_trace}
FROM track_and_traces t
WHERE {visible track_and_traces t}{filters}
ORDER BY {order}
LIMIT :limit OFFSET :skip;

-- See sql/shipment.sql.
-- variant: page
-- filters: created_at.greater_than?, created_at.less_than?, last_modified_at.greater_than?, last_modified_at.less_than?
-- sorts: CREATED_AT, LAST_MODIFIED_AT
-- each: visible_channel_ids::int[], visible_company_ids::int[]
SELECT {track_and_trace}
FROM (SELECT {lists}:limit::bigint AS size, :skip::bigint AS skip OFFSET 0) AS given
CROSS JOIN LATERAL (
  SELECT t.*
  FROM {branches} AS t
  ORDER BY {order}
  LIMIT given.size OFFSET given.skip
) AS k
CROSS JOIN LATERAL (
  SELECT t.* FROM track_and_traces t WHERE t.id = k.id AND t.channel_id = k.channel_id LIMIT 1
) AS t
ORDER BY {order};

-- fragment: branch
SELECT {keys t}
FROM track_and_traces t
WHERE {visible track_and_traces t}{filters}
ORDER BY {order}
LIMIT given.size + given.skip

-- name: count
SELECT count(*)::int AS items_found
FROM track_and_traces t
WHERE {visible track_and_traces t}{filters};

-- name: shipment_of
SELECT t.shipment_id
FROM track_and_traces t
WHERE t.id = :id AND {visible track_and_traces t};

-- The shipment is locked before: see `shipment.lock`.
-- name: lock
SELECT t.id, t.channel_id, t.shipment_id, t.carrier_id, t.code, t.external_id, t.version
FROM track_and_traces t
WHERE t.id = :id AND {visible track_and_traces t}
FOR NO KEY UPDATE OF t;

-- name: create
-- feeds: TrackAndTrace
WITH code AS (
  INSERT INTO track_and_traces (shipment_id, order_id, channel_id, carrier_id, code, external_id)
  SELECT s.id, s.order_id, s.channel_id, :carrier_id, :code, :external_id
  FROM shipments s
  WHERE s.id = :shipment_id AND s.channel_id = :channel_id AND {visible shipments s}
  RETURNING *
), shipment AS (
  UPDATE shipments s
  SET last_modified_at = statement_timestamp()
  FROM code t
  WHERE s.id = t.shipment_id AND s.channel_id = t.channel_id
)
SELECT {track_and_trace}
FROM code t;

-- name: update
-- feeds: TrackAndTrace
WITH code AS (
  UPDATE track_and_traces t
  SET shipment_id = :shipment_id, carrier_id = :carrier_id, code = :code, external_id = :external_id,
    last_modified_at = statement_timestamp()
  WHERE t.id = :id AND t.channel_id = :channel_id AND {visible track_and_traces t}
  RETURNING t.*
), shipment AS (
  UPDATE shipments s
  SET last_modified_at = statement_timestamp()
  WHERE s.id IN (:shipment_id, :former_shipment_id) AND s.channel_id = :channel_id AND {visible shipments s}
)
SELECT {track_and_trace}
FROM code t;

-- The places of those codes that somebody else has in use with their carriers, whoever that is (decision 25).
-- name: taken
SELECT w.place::int - 1 AS place
FROM unnest(:codes::text[], :carrier_ids::int[]) WITH ORDINALITY AS w (code, carrier_id, place)
WHERE is_code_taken(w.code, w.carrier_id, :channel_id, :order_id, NULL, NULL)
ORDER BY w.place;

-- name: delete
WITH code AS (
  DELETE FROM track_and_traces t
  WHERE t.id = :id AND t.channel_id = :channel_id AND {visible track_and_traces t}
  RETURNING t.shipment_id, t.channel_id
)
UPDATE shipments s
SET last_modified_at = statement_timestamp()
FROM code t
WHERE s.id = t.shipment_id AND s.channel_id = t.channel_id;

-- The days of a channel are those of its time zone (decision 24).
-- fragment: zone
channel_time_zone(t.channel_id)

-- name: codes_by_order_ids
SELECT t.order_id, t.code
FROM track_and_traces t
WHERE t.order_id = ANY(:order_ids) AND {visible track_and_traces t}
ORDER BY t.created_at, t.id;

-- filter: ids
t.id = ANY(:ids)
-- filter: shipment_ids
t.shipment_id = ANY(:shipment_ids)
-- filter: codes
normalized_code(t.code) = ANY(:codes)
-- filter: carrier_ids
t.carrier_id = ANY(:carrier_ids)
-- filter: created_at.greater_than
t.created_at >= :created_at_greater_than
-- filter: created_at.less_than
t.created_at <= :created_at_less_than
-- filter: created_at.greater_than_day
t.created_at >= first_start(:created_at_greater_than_day::date) AND t.created_at >= day_start(:created_at_greater_than_day::date, {zone})
-- filter: created_at.less_than_day
t.created_at < last_end(:created_at_less_than_day::date) AND t.created_at < day_end(:created_at_less_than_day::date, {zone})
-- filter: last_modified_at.greater_than
t.last_modified_at >= :last_modified_at_greater_than
-- filter: last_modified_at.less_than
t.last_modified_at <= :last_modified_at_less_than
-- filter: last_modified_at.greater_than_day
t.last_modified_at >= first_start(:last_modified_at_greater_than_day::date) AND t.last_modified_at >= day_start(:last_modified_at_greater_than_day::date, {zone})
-- filter: last_modified_at.less_than_day
t.last_modified_at < last_end(:last_modified_at_less_than_day::date) AND t.last_modified_at < day_end(:last_modified_at_less_than_day::date, {zone})

-- sort: ID
t.id
-- sort: LAST_MODIFIED_AT
t.last_modified_at
-- sort: CREATED_AT
t.created_at
-- sort: SHIPMENT_ID
t.shipment_id
-- sort: CARRIER_ID
-- nulls: last
t.carrier_id
-- sort: CODE
t.code
