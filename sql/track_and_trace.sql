-- Track and traces: the codes under which carriers know a shipment.

-- fragment: track_and_trace
t.id::text, t.shipment_id::text, t.carrier_id, t.code, t.external_id, t.status, t.sub_status,
  t.expected_delivery_at, t.created_at, t.last_modified_at, t.version

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

-- Behind many rows, and where one date is filtered by and another sorted by.
-- variant: page
-- reaches: EVERYTHING, CHANNELS
-- filters: carrier_ids?, created_at.greater_than?, created_at.less_than?, last_modified_at.greater_than?, last_modified_at.less_than?
-- sorts: CREATED_AT, LAST_MODIFIED_AT
-- skip: 1000
{by_day}

-- See sql/shipment.sql.
-- variant: page
-- filters: created_at.greater_than?, created_at.less_than?
-- sorts: CREATED_AT
-- each: visible_channel_ids::int[], visible_company_ids::int[]
{branchwise}

-- variant: page
-- filters: last_modified_at.greater_than?, last_modified_at.less_than?
-- sorts: LAST_MODIFIED_AT
-- each: visible_channel_ids::int[], visible_company_ids::int[]
{branchwise}

-- fragment: branchwise
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
ORDER BY {order}

-- variant: page
-- reaches: EVERYTHING, CHANNELS
-- filters: carrier_ids?, created_at.greater_than?, created_at.less_than?, last_modified_at.greater_than?, last_modified_at.less_than?
-- sorts: CREATED_AT, LAST_MODIFIED_AT
{by_day}

-- Companies and customers have few of all: theirs are found first, then sorted.
-- variant: page
-- reaches: COMPANIES, CONTACT, CUSTOMER
-- filters: any
-- sorts: SHIPMENT_ID, CARRIER_ID, CODE, ID
WITH own AS MATERIALIZED (
  SELECT t.*
  FROM track_and_traces t
  WHERE {visible track_and_traces t}{filters}
)
SELECT {track_and_trace}
FROM own t
ORDER BY {order}
LIMIT :limit OFFSET :skip;

-- The values that the page lies among, in the same way.
-- variant: page
-- reaches: EVERYTHING, CHANNELS
-- filters: carrier_ids?, created_at.greater_than?, created_at.less_than?, last_modified_at.greater_than?, last_modified_at.less_than?
-- sorts: CARRIER_ID
{by_value}

-- The days that the page lies in, by how many rows each has of those that are asked for, and only then their rows.
-- fragment: page_of_days
WITH counted AS MATERIALIZED (
  SELECT k.day, sum(k.n) AS n
  FROM (
    SELECT {day} AS day, t.n
    FROM track_and_trace_days t
    WHERE {visible track_and_trace_days t}{on_days t}{outside day_outside t}
  ) AS k
  GROUP BY k.day
), placed AS (
  SELECT k.day, k.n, sum(k.n) OVER (ORDER BY {days_in_order k}) AS up_to FROM counted k WHERE k.n > 0
), chosen AS MATERIALIZED (
  SELECT p.day, p.up_to - p.n AS before
  FROM placed p
  WHERE p.up_to > :skip::bigint AND p.up_to - p.n < :skip::bigint + :limit::bigint
)

-- fragment: by_day
{page_of_days}
SELECT {track_and_trace}
FROM (
  SELECT t.*
  FROM chosen d
  CROSS JOIN LATERAL ({of_day}) AS t
  ORDER BY {order}
  LIMIT :limit OFFSET :skip::bigint - (SELECT coalesce(min(d.before), :skip::bigint) FROM chosen d)
) AS k
CROSS JOIN LATERAL (SELECT t.* FROM track_and_traces t WHERE t.id = k.id AND t.channel_id = k.channel_id LIMIT 1) AS t
ORDER BY {order};

-- fragment: by_value
{page_of_days}
SELECT {track_and_trace}
FROM (
  SELECT t.*
  FROM chosen d
  CROSS JOIN LATERAL ({of_value}) AS t
  ORDER BY {order}
  LIMIT :limit OFFSET :skip::bigint - (SELECT coalesce(min(d.before), :skip::bigint) FROM chosen d)
) AS k
CROSS JOIN LATERAL (SELECT t.* FROM track_and_traces t WHERE t.id = k.id AND t.channel_id = k.channel_id LIMIT 1) AS t
ORDER BY {order};

-- fragment: of_value
(SELECT {keys t}
FROM track_and_traces t
WHERE {sorted} = d.day AND {visible track_and_traces t}{filters}
ORDER BY {ties}
LIMIT :skip::bigint + :limit::bigint - d.before)
UNION ALL
(SELECT {keys t}
FROM track_and_traces t
WHERE d.day IS NULL AND {sorted} IS NULL AND {visible track_and_traces t}{filters}
ORDER BY {ties}
LIMIT :skip::bigint + :limit::bigint - d.before)

-- fragment: of_day
SELECT {keys t}
FROM track_and_traces t
WHERE {sorted} >= utc_start(d.day) AND {sorted} < utc_start(d.day + 1) AND {visible track_and_traces t}{filters}
OFFSET 0

-- fragment: day_outside
SELECT {day_of_row}, -1 FROM track_and_traces t WHERE {visible track_and_traces t}{filters}

-- fragment: number_outside
SELECT -count(*) FROM track_and_traces t WHERE {visible track_and_traces t}{filters}

-- fragment: number_of_days
SELECT coalesce(sum(k.n), 0)
FROM (
  SELECT t.n
  FROM track_and_trace_days t
  WHERE {visible track_and_trace_days t}{on_days t}{outside number_outside t}
) AS k

-- fragment: branch
SELECT {keys t}
FROM track_and_traces t
WHERE {visible track_and_traces t}{filters}
ORDER BY {order}
LIMIT given.size + given.skip

-- Far behind the first page: its first value is found in an index that knows no id, and where the row before has another
-- one, so many rows come before that value as before the page. Only then are its rows sorted by their ids, too.
-- variant: page
-- reaches: EVERYTHING, CHANNELS
-- filters: carrier_ids?
-- sorts: CODE
-- skip: 1000
WITH edge AS MATERIALIZED ({edge})
{by_edge}

-- variant: page
-- reaches: EVERYTHING, CHANNELS
-- sorts: SHIPMENT_ID
-- skip: 1000
WITH edge AS MATERIALIZED ({edge})
{by_edge}

-- variant: page
-- reaches: CHANNELS
-- filters: carrier_ids
-- sorts: SHIPMENT_ID
-- each: visible_channel_ids::int[], carrier_ids::int[]
-- skip: 1000
WITH edge AS MATERIALIZED (
  SELECT t.*
  FROM (SELECT {lists branch_of_edge}2::bigint AS size, :skip::bigint AS skip OFFSET 0) AS given
  CROSS JOIN LATERAL {branches branch_of_edge} AS t
  ORDER BY {sorted_alone}
  LIMIT 2 OFFSET greatest(:skip::bigint - 1, 0)
)
{by_edge}

-- fragment: edge
SELECT {sorted}
FROM track_and_traces t
WHERE {visible track_and_traces t}{filters}
ORDER BY {sorted_alone}
LIMIT 2 OFFSET greatest(:skip::bigint - 1, 0)

-- fragment: branch_of_edge
SELECT {sorted}
FROM track_and_traces t
WHERE {visible track_and_traces t}{filters}
ORDER BY {sorted_alone}
LIMIT given.size + given.skip

-- fragment: by_edge
, edges AS MATERIALIZED (
  SELECT e.both[least(:skip::int, 1) + 1] AS first, e.both[1] = e.both[2] AS are_alike
  FROM (SELECT array_agg({sorted}) AS both FROM edge t) AS e
)
SELECT {track_and_trace}
FROM (
  SELECT {keys t}
  FROM track_and_traces t
  WHERE {sorted} {onwards} (SELECT e.first FROM edges e) AND {visible track_and_traces t}{filters}
  ORDER BY {order}
  LIMIT :limit OFFSET :skip::bigint - (
    SELECT CASE WHEN e.are_alike THEN (
      SELECT count(*)
      FROM track_and_traces t
      WHERE {sorted} {earlier} e.first AND {visible track_and_traces t}{filters}
    ) ELSE :skip::bigint END
    FROM edges e
  )
) AS k
CROSS JOIN LATERAL (SELECT t.* FROM track_and_traces t WHERE t.id = k.id AND t.channel_id = k.channel_id LIMIT 1) AS t
ORDER BY {order};

-- Carriers one by one, in an index that has all that is asked for.
-- variant: page
-- reaches: EVERYTHING, CHANNELS
-- filters: carrier_ids, created_at.greater_than?, created_at.less_than?, last_modified_at.greater_than?, last_modified_at.less_than?
-- sorts: ID
-- each: carrier_ids::int[]
{branchwise}

-- Far behind the first page: what comes before it is counted in an index, where one has all that is asked for.
-- variant: page
-- filters: any
-- sorts: ID, LAST_MODIFIED_AT, CREATED_AT, SHIPMENT_ID, CARRIER_ID, CODE
-- skip: 1000
SELECT {track_and_trace}
FROM (
  SELECT {keys t}
  FROM track_and_traces t
  WHERE {visible track_and_traces t}{filters}
  ORDER BY {order}
  LIMIT :limit OFFSET :skip
) AS k
CROSS JOIN LATERAL (SELECT t.* FROM track_and_traces t WHERE t.id = k.id AND t.channel_id = k.channel_id LIMIT 1) AS t
ORDER BY {order};

-- name: count
SELECT count(*)::int AS items_found
FROM track_and_traces t
WHERE {visible track_and_traces t}{filters};

-- variant: count
-- reaches: EVERYTHING, CHANNELS
-- filters: carrier_ids?, created_at.greater_than?, created_at.less_than?, last_modified_at.greater_than?, last_modified_at.less_than?
SELECT ({number_of_days})::int AS items_found;

-- name: shipment_of
SELECT t.shipment_id
FROM track_and_traces t
WHERE t.id = :id AND {visible track_and_traces t};

-- The shipment is locked before: see `shipment.lock`.
-- name: lock
SELECT t.id, t.channel_id, t.shipment_id, t.carrier_id, t.code, t.external_id, t.expected_delivery_at, t.version
FROM track_and_traces t
WHERE t.id = :id AND {visible track_and_traces t}
FOR NO KEY UPDATE OF t;

-- name: create
-- feeds: TrackAndTrace
WITH code AS (
  INSERT INTO track_and_traces (shipment_id, order_id, channel_id, carrier_id, code, external_id, expected_delivery_at)
  SELECT s.id, s.order_id, s.channel_id, :carrier_id, :code, :external_id, :expected_delivery_at
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
    expected_delivery_at = :expected_delivery_at,
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

-- A day is that of the code's channel, a moment without an offset the carrier's.
-- name: promise
SELECT promised_at(:expected_local::timestamp, :carrier_id, :channel_id) AS expected_delivery_at;

-- name: promises_of_new
UPDATE track_and_traces t
SET expected_delivery_at = w.expected_delivery_at
FROM unnest(:ids::uuid[], :expected_delivery_at::timestamptz[]) AS w (id, expected_delivery_at)
WHERE t.id = w.id AND t.channel_id = :channel_id AND {visible track_and_traces t};

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
