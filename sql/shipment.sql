-- Shipments. Columns follow the type Shipment; `order_id` and `channel_id` decide who may see a row.

-- fragment: shipment
s.id::text, s.order_id, s.external_id, s.status, s.sub_status, s.expected_delivery_at, s.created_at, s.last_modified_at, s.version

-- No promise ends before the moment that it is written as, so that an index tells which are not over.
-- fragment: is_due
s.expected_delivery_at < now() AND s.status IS DISTINCT FROM 'DELIVERED'
  AND s.status IS DISTINCT FROM 'CANCELED' AND promise_end(s.expected_delivery_at, {zone}) <= now()

-- fragment: is_late
coalesce({is_due}, false)

-- fragment: promise
CASE WHEN is_day(s.expected_delivery_at) THEN (s.expected_delivery_at AT TIME ZONE 'UTC')::date::text END
    AS expected_delivery_date,
  promise_end(s.expected_delivery_at, {zone}) AS late_from, {is_late} AS late

-- name: promises_by_ids
SELECT s.id::text, {promise}
FROM shipments s
WHERE s.id = ANY(:ids::uuid[]) AND {visible shipments s};

-- name: by_id
-- feeds: Shipment
SELECT {shipment}
FROM shipments s
WHERE s.id = :id AND {visible shipments s};

-- Whose its order is tells who of several viewers may see it: see app/postgres/lookups.py.
-- name: by_ids
-- feeds: Shipment
SELECT {shipment}, s.company_id
FROM shipments s
WHERE s.id = ANY(:ids::uuid[]) AND {visible shipments s};

-- name: by_order_ids
-- feeds: Shipment
SELECT {shipment}
FROM shipments s
WHERE s.order_id = ANY(:order_ids) AND {visible shipments s}
ORDER BY s.created_at DESC, s.id;

-- name: page
-- feeds: Shipment
SELECT {shipment}
FROM shipments s
WHERE {visible shipments s}{filters}
ORDER BY {order}
LIMIT :limit OFFSET :skip;

-- Behind many rows, and where one date is filtered by and another sorted by.
-- variant: page
-- reaches: EVERYTHING, CHANNELS
-- filters: statuses?, created_at.greater_than?, created_at.less_than?, last_modified_at.greater_than?, last_modified_at.less_than?, expected_delivery_at.greater_than?, expected_delivery_at.less_than?
-- sorts: CREATED_AT, LAST_MODIFIED_AT, EXPECTED_DELIVERY_AT
-- skip: 1000
{by_day}

-- Cuts the page from all branches of an index, by keys that the index holds; only then are the rows fetched, one for each
-- key, as LIMIT 1 says to the planner. OFFSET 0 hides from it what is given: no number of rows depends on a parameter
-- that it sees, so it plans once.
-- variant: page
-- filters: statuses?, company_ids?, created_at.greater_than?, created_at.less_than?
-- sorts: CREATED_AT
-- each: visible_channel_ids::int[], visible_company_ids::int[], statuses::text[], company_ids::int[]
{branchwise}

-- variant: page
-- reaches: CHANNELS
-- filters: statuses, last_modified_at.greater_than?, last_modified_at.less_than?
-- sorts: LAST_MODIFIED_AT
-- each: visible_channel_ids::int[], statuses::text[]
{branchwise}

-- variant: page
-- filters: last_modified_at.greater_than?, last_modified_at.less_than?
-- sorts: LAST_MODIFIED_AT
-- each: visible_channel_ids::int[], visible_company_ids::int[]
{branchwise}

-- variant: page
-- reaches: CHANNELS
-- filters: statuses, expected_delivery_at.greater_than?, expected_delivery_at.less_than?
-- sorts: EXPECTED_DELIVERY_AT
-- each: visible_channel_ids::int[], statuses::text[]
{branchwise}

-- variant: page
-- reaches: EVERYTHING, CHANNELS
-- filters: expected_delivery_at.greater_than?, expected_delivery_at.less_than?
-- sorts: EXPECTED_DELIVERY_AT
-- each: visible_channel_ids::int[]
{branchwise}

-- variant: page
-- reaches: EVERYTHING, CHANNELS
-- filters: statuses, created_at.greater_than?, created_at.less_than?, last_modified_at.greater_than?, last_modified_at.less_than?, expected_delivery_at.greater_than?, expected_delivery_at.less_than?
-- sorts: ID
-- each: statuses::text[]
{branchwise}

-- variant: page
-- reaches: EVERYTHING, CHANNELS
-- filters: statuses?, created_at.greater_than?, created_at.less_than?, last_modified_at.greater_than?, last_modified_at.less_than?, expected_delivery_at.greater_than?, expected_delivery_at.less_than?
-- sorts: CREATED_AT, LAST_MODIFIED_AT, EXPECTED_DELIVERY_AT
{by_day}

-- The days tell between which orders all of them lie: those of an old month are not looked for among the newest.
-- variant: page
-- reaches: EVERYTHING, CHANNELS
-- filters: statuses?, created_at.greater_than?, created_at.less_than?, last_modified_at.greater_than?, last_modified_at.less_than?, expected_delivery_at.greater_than?, expected_delivery_at.less_than?
-- sorts: ORDER_ID
WITH span AS MATERIALIZED ({span})
SELECT {shipment}
FROM (
  SELECT {keys s}
  FROM shipments s
  WHERE {visible shipments s}{filters}
    AND s.order_id >= (SELECT n.lowest FROM span n) AND s.order_id <= (SELECT n.highest FROM span n)
  ORDER BY {order}
  LIMIT :limit OFFSET :skip
) AS k
CROSS JOIN LATERAL (SELECT s.* FROM shipments s WHERE s.id = k.id AND s.channel_id = k.channel_id LIMIT 1) AS s
ORDER BY {order};

-- fragment: span
SELECT min(s.lowest) AS lowest, max(s.highest) AS highest
FROM shipment_days s
WHERE {visible shipment_days s}{on_days s}

-- The values that the page lies among, in the same way.
-- variant: page
-- reaches: EVERYTHING, CHANNELS
-- filters: statuses?, created_at.greater_than?, created_at.less_than?, last_modified_at.greater_than?, last_modified_at.less_than?, expected_delivery_at.greater_than?, expected_delivery_at.less_than?
-- sorts: STATUS
{by_value}

-- The days that the page lies in, by how many rows each has of those that are asked for, and only then their rows.
-- fragment: page_of_days
WITH counted AS MATERIALIZED (
  SELECT k.day, sum(k.n) AS n
  FROM (
    SELECT {day} AS day, s.n
    FROM shipment_days s
    WHERE {visible shipment_days s}{on_days s}{outside day_outside s}
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
SELECT {shipment}
FROM (
  SELECT s.*
  FROM chosen d
  CROSS JOIN LATERAL ({of_day}) AS s
  ORDER BY {order}
  LIMIT :limit OFFSET :skip::bigint - (SELECT coalesce(min(d.before), :skip::bigint) FROM chosen d)
) AS k
CROSS JOIN LATERAL (SELECT s.* FROM shipments s WHERE s.id = k.id AND s.channel_id = k.channel_id LIMIT 1) AS s
ORDER BY {order};

-- fragment: by_value
{page_of_days}
SELECT {shipment}
FROM (
  SELECT s.*
  FROM chosen d
  CROSS JOIN LATERAL ({of_value}) AS s
  ORDER BY {order}
  LIMIT :limit OFFSET :skip::bigint - (SELECT coalesce(min(d.before), :skip::bigint) FROM chosen d)
) AS k
CROSS JOIN LATERAL (SELECT s.* FROM shipments s WHERE s.id = k.id AND s.channel_id = k.channel_id LIMIT 1) AS s
ORDER BY {order};

-- By what the days do not know: the first rows of each value that there is.
-- variant: page
-- reaches: EVERYTHING, CHANNELS
-- filters: statuses?, late?, not_late?, carrier_ids?, skus?, created_at.greater_than?, created_at.less_than?, last_modified_at.greater_than?, last_modified_at.less_than?, expected_delivery_at.greater_than?, expected_delivery_at.less_than?
-- sorts: STATUS
SELECT {shipment}
FROM (
  SELECT s.*
  FROM (SELECT DISTINCT {day} AS day, 0 AS before FROM shipment_days s WHERE {visible shipment_days s}) AS d
  CROSS JOIN LATERAL ({of_value}) AS s
  ORDER BY {order}
  LIMIT :limit OFFSET :skip
) AS k
CROSS JOIN LATERAL (SELECT s.* FROM shipments s WHERE s.id = k.id AND s.channel_id = k.channel_id LIMIT 1) AS s
ORDER BY {order};

-- fragment: of_value
(SELECT {keys s}
FROM shipments s
WHERE {sorted} = d.day AND {visible shipments s}{filters}
ORDER BY {ties}
LIMIT :skip::bigint + :limit::bigint - d.before)
UNION ALL
(SELECT {keys s}
FROM shipments s
WHERE d.day IS NULL AND {sorted} IS NULL AND {visible shipments s}{filters}
ORDER BY {ties}
LIMIT :skip::bigint + :limit::bigint - d.before)

-- fragment: of_day
(SELECT {keys s}
FROM shipments s
WHERE {sorted} >= utc_start(d.day) AND {sorted} < utc_start(d.day + 1) AND {visible shipments s}{filters}
OFFSET 0)
UNION ALL
(SELECT {keys s}
FROM shipments s
WHERE d.day IS NULL AND {sorted} IS NULL AND {visible shipments s}{filters}
OFFSET 0)

-- fragment: day_outside
SELECT {day_of_row}, -1 FROM shipments s WHERE {visible shipments s}{filters}

-- fragment: number_outside
SELECT -count(*) FROM shipments s WHERE {visible shipments s}{filters}

-- fragment: number_of_days
SELECT coalesce(sum(k.n), 0)
FROM (
  SELECT s.n
  FROM shipment_days s
  WHERE {visible shipment_days s}{on_days s}{outside number_outside s}
) AS k

-- Companies and customers have few of all: theirs are found first, then sorted.
-- variant: page
-- reaches: COMPANIES, CONTACT, CUSTOMER
-- filters: any
-- sorts: STATUS, EXPECTED_DELIVERY_AT, ORDER_ID, ID
WITH own AS MATERIALIZED (
  SELECT s.*
  FROM shipments s
  WHERE {visible shipments s}{filters}
)
SELECT {shipment}
FROM own s
ORDER BY {order}
LIMIT :limit OFFSET :skip;

-- By whatever else: as one list, which is two where nulls are at the wrong end of the index.
-- variant: page
-- filters: any
-- sorts: EXPECTED_DELIVERY_AT
SELECT {shipment}
FROM (
  SELECT s.*
  FROM {branches first_rows} AS s
  ORDER BY {order}
  LIMIT :limit OFFSET :skip
) AS k
CROSS JOIN LATERAL (SELECT s.* FROM shipments s WHERE s.id = k.id AND s.channel_id = k.channel_id LIMIT 1) AS s
ORDER BY {order};

-- fragment: first_rows
SELECT {keys s}
FROM shipments s
WHERE {visible shipments s}{filters}
ORDER BY {order}
LIMIT :limit::bigint + :skip::bigint

-- fragment: branchwise
SELECT {shipment}
FROM (SELECT {lists}:limit::bigint AS size, :skip::bigint AS skip OFFSET 0) AS given
CROSS JOIN LATERAL (
  SELECT s.*
  FROM {branches} AS s
  ORDER BY {order}
  LIMIT given.size OFFSET given.skip
) AS k
CROSS JOIN LATERAL (SELECT s.* FROM shipments s WHERE s.id = k.id AND s.channel_id = k.channel_id LIMIT 1) AS s
ORDER BY {order};

-- fragment: branch
SELECT {keys s}
FROM shipments s
WHERE {visible shipments s}{filters}
ORDER BY {order}
LIMIT given.size + given.skip

-- Far behind the first page: what comes before it is counted in an index, where one has all that is asked for.
-- variant: page
-- filters: any
-- sorts: ID, LAST_MODIFIED_AT, CREATED_AT, STATUS, ORDER_ID
-- skip: 1000
SELECT {shipment}
FROM (
  SELECT {keys s}
  FROM shipments s
  WHERE {visible shipments s}{filters}
  ORDER BY {order}
  LIMIT :limit OFFSET :skip
) AS k
CROSS JOIN LATERAL (SELECT s.* FROM shipments s WHERE s.id = k.id AND s.channel_id = k.channel_id LIMIT 1) AS s
ORDER BY {order};

-- name: all
-- feeds: Shipment
SELECT {shipment}, {promise}
FROM shipments s
WHERE {visible shipments s}{filters}
ORDER BY s.created_at DESC, s.id;

-- name: count
SELECT count(*)::int AS items_found
FROM shipments s
WHERE {visible shipments s}{filters};

-- variant: count
-- reaches: EVERYTHING, CHANNELS
-- filters: statuses?
SELECT coalesce(sum(s.n), 0)::int AS items_found
FROM shipment_tallies s
WHERE s.company_id = 0 AND {visible shipment_tallies s}{filters};

-- variant: count
-- reaches: EVERYTHING, CHANNELS
-- filters: company_ids, statuses?
SELECT coalesce(sum(s.n), 0)::int AS items_found
FROM shipment_tallies s
WHERE s.company_id <> 0 AND {visible shipment_tallies s}{filters};

-- variant: count
-- reaches: COMPANIES
-- filters: company_ids?, statuses?
SELECT coalesce(sum(s.n), 0)::int AS items_found
FROM shipment_tallies s
WHERE s.company_id <> 0 AND {visible shipment_tallies s}{filters};

-- What is given is hidden as above: with it, PostgreSQL would plan for the very companies, each time anew.
-- Without those of orders that are not shown, of which companies have few.
-- variant: count
-- reaches: CONTACT
-- filters: company_ids?, statuses?
-- each: visible_channel_ids::int[], visible_company_ids::int[]
SELECT coalesce(sum(s.n), 0)::int AS items_found
FROM (SELECT {lists}true OFFSET 0) AS given
CROSS JOIN LATERAL {branches shown} AS s;

-- fragment: shown
SELECT s.n
FROM shipment_tallies s
WHERE s.company_id <> 0 AND {visible shipment_tallies s}{filters}
UNION ALL
SELECT -1
FROM orders d
JOIN shipments s ON s.order_id = d.id AND s.channel_id = d.channel_id
WHERE {hidden orders d}{filters}

-- variant: count
-- reaches: EVERYTHING, CHANNELS
-- filters: statuses?, created_at.greater_than?, created_at.less_than?, last_modified_at.greater_than?, last_modified_at.less_than?, expected_delivery_at.greater_than?, expected_delivery_at.less_than?
SELECT ({number_of_days})::int AS items_found;

-- Codes of a carrier lie by shipment in an index.
-- variant: count
-- reaches: EVERYTHING, CHANNELS
-- filters: carrier_ids
SELECT count(*)::int AS items_found
FROM (
  SELECT DISTINCT t.channel_id, t.shipment_id
  FROM track_and_traces t
  WHERE t.carrier_id = ANY(:carrier_ids) AND {visible track_and_traces t}
) AS k;

-- All without those that are late, of which there are few.
-- variant: count
-- reaches: EVERYTHING, CHANNELS
-- filters: not_late, statuses?, created_at.greater_than?, created_at.less_than?, last_modified_at.greater_than?, last_modified_at.less_than?, expected_delivery_at.greater_than?, expected_delivery_at.less_than?
-- without: not_late
SELECT (({number_of_days}) - (SELECT count(*) FROM shipments s WHERE {visible shipments s}{filters} AND {is_due}))::int
  AS items_found;

-- Whoever writes a shipment, or what hangs on it, locks the shipment first, and several in this sequence: so writers
-- queue up and never wait in a circle. Their orders come before the first of them: what is written may finish these.
-- name: lock
WITH ordered AS MATERIALIZED (
  SELECT o.id, o.channel_id, o.status
  FROM orders o
  WHERE (o.id, o.channel_id) IN (
    SELECT s.order_id, s.channel_id FROM shipments s WHERE s.id = ANY(:ids) AND {visible shipments s})
    AND {visible orders o}
  ORDER BY o.id, o.channel_id
  FOR NO KEY UPDATE OF o
)
SELECT s.id, s.order_id, s.channel_id, s.external_id, s.status, s.expected_delivery_at, s.created_at, s.version,
  o.status AS order_status, w.is_shippable
FROM shipments s
JOIN ordered o ON o.id = s.order_id AND o.channel_id = s.channel_id
JOIN order_statuses w ON w.code = o.status
WHERE s.id = ANY(:ids) AND {visible shipments s} AND (SELECT count(*) FROM ordered) > 0
ORDER BY s.id, s.channel_id
FOR NO KEY UPDATE OF s;

-- A shipment with all that it begins with.
-- Codes of one shipment come in the order of their creation, so each is given a moment of its own, none of them to come.
-- name: create
-- feeds: Shipment
WITH shipment AS (
  INSERT INTO shipments (order_id, channel_id, external_id, is_made_here, status, expected_delivery_at)
  SELECT o.id, o.channel_id, :external_id, true, :status, :expected_delivery_at
  FROM orders o
  WHERE o.id = :order_id AND o.channel_id = :channel_id AND {visible orders o}
  RETURNING *
), items AS (
  INSERT INTO shipment_items (shipment_id, order_item_id, order_id, channel_id, external_id, name, sku, quantity)
  SELECT s.id, w.order_item_id, s.order_id, s.channel_id, w.external_id, w.name, w.sku, w.quantity
  FROM shipment s
  CROSS JOIN unnest(:order_item_ids::int[], :item_keys::text[], :names::text[], :skus::text[], :quantities::int[])
    AS w (order_item_id, external_id, name, sku, quantity)
), codes AS (
  INSERT INTO track_and_traces (shipment_id, order_id, channel_id, carrier_id, code, external_id, created_at)
  SELECT s.id, s.order_id, s.channel_id, w.carrier_id, w.code, w.external_id,
    s.created_at - (cardinality(:codes) - w.place) * interval '1 microsecond'
  FROM shipment s
  CROSS JOIN unnest(:codes::text[], :carrier_ids::int[], :code_keys::text[])
    WITH ORDINALITY AS w (code, carrier_id, external_id, place)
), sources AS (
  INSERT INTO shipment_sources (shipment_id, order_id, channel_id, id, name)
  SELECT s.id, s.order_id, s.channel_id, w.id, w.name
  FROM shipment s
  CROSS JOIN unnest(:source_ids::text[], :source_names::text[]) AS w (id, name)
)
SELECT {shipment}
FROM shipment s;

-- The keys among those that items and codes of the order have already.
-- name: keys_in_use
SELECT 'items' AS list, x.external_id
FROM shipment_items x
WHERE x.order_id = :order_id AND x.channel_id = :channel_id AND x.external_id = ANY(:item_keys::text[])
  AND {visible shipment_items x}
UNION ALL
SELECT 'trackAndTraces', t.external_id
FROM track_and_traces t
WHERE t.order_id = :order_id AND t.channel_id = :channel_id AND t.external_id = ANY(:code_keys::text[])
  AND {visible track_and_traces t};

-- name: next_statuses
SELECT n.next_status, n.needs_override
FROM shipment_status_successors n
WHERE n.status = :status
ORDER BY n.next_status;

-- For the rest of the transaction: who writes may take the steps that need an override.
-- name: override
SELECT set_config('waybill.overridden_steps', 'allowed', true);

-- name: update
-- feeds: Shipment
UPDATE shipments s
SET status = :status, expected_delivery_at = :expected_delivery_at, external_id = :external_id,
  last_modified_at = statement_timestamp()
WHERE s.id = :id AND s.channel_id = :channel_id AND {visible shipments s}
RETURNING {shipment};

-- Adds before it removes: a source that stays is never without its row.
-- name: set_sources
WITH wanted AS (
  SELECT w.id, w.name
  FROM unnest(:source_ids::text[], :source_names::text[]) AS w (id, name)
), added AS (
  INSERT INTO shipment_sources (shipment_id, order_id, channel_id, id, name)
  SELECT s.id, s.order_id, s.channel_id, w.id, w.name
  FROM shipments s
  CROSS JOIN wanted w
  WHERE s.id = :id AND s.channel_id = :channel_id AND {visible shipments s}
  ON CONFLICT DO NOTHING
)
DELETE FROM shipment_sources k
WHERE k.shipment_id = :id AND k.channel_id = :channel_id AND {visible shipment_sources k}
  AND NOT EXISTS (SELECT FROM wanted w WHERE w.id = k.id AND w.name = k.name);

-- name: delete
DELETE FROM shipments s
WHERE s.id = :id AND s.channel_id = :channel_id AND {visible shipments s};

-- The days of a channel are those of its time zone (decision 24).
-- fragment: zone
channel_time_zone(s.channel_id)

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
-- filter: created_at.greater_than_day
s.created_at >= first_start(:created_at_greater_than_day::date) AND s.created_at >= day_start(:created_at_greater_than_day::date, {zone})
-- filter: created_at.less_than_day
s.created_at < last_end(:created_at_less_than_day::date) AND s.created_at < day_end(:created_at_less_than_day::date, {zone})
-- filter: last_modified_at.greater_than
s.last_modified_at >= :last_modified_at_greater_than
-- filter: last_modified_at.less_than
s.last_modified_at <= :last_modified_at_less_than
-- filter: last_modified_at.greater_than_day
s.last_modified_at >= first_start(:last_modified_at_greater_than_day::date) AND s.last_modified_at >= day_start(:last_modified_at_greater_than_day::date, {zone})
-- filter: last_modified_at.less_than_day
s.last_modified_at < last_end(:last_modified_at_less_than_day::date) AND s.last_modified_at < day_end(:last_modified_at_less_than_day::date, {zone})
-- filter: expected_delivery_at.greater_than
s.expected_delivery_at >= :expected_delivery_at_greater_than
-- filter: expected_delivery_at.less_than
s.expected_delivery_at <= :expected_delivery_at_less_than
-- A promise that is a day is not before its day, nor behind it, wherever that is.
-- filter: expected_delivery_at.greater_than_day
s.expected_delivery_at >= first_start(:expected_delivery_at_greater_than_day::date) AND s.expected_delivery_at >= CASE
  WHEN is_day(s.expected_delivery_at) THEN day_start(:expected_delivery_at_greater_than_day::date, 'UTC')
  ELSE day_start(:expected_delivery_at_greater_than_day::date, {zone}) END
-- filter: expected_delivery_at.less_than_day
s.expected_delivery_at < last_end(:expected_delivery_at_less_than_day::date) AND s.expected_delivery_at < CASE
  WHEN is_day(s.expected_delivery_at) THEN day_end(:expected_delivery_at_less_than_day::date, 'UTC')
  ELSE day_end(:expected_delivery_at_less_than_day::date, {zone}) END
-- filter: carrier_ids
EXISTS (
  SELECT FROM track_and_traces t
  WHERE t.shipment_id = s.id AND t.channel_id = s.channel_id AND t.carrier_id = ANY(:carrier_ids))
-- filter: codes
EXISTS (
  SELECT FROM track_and_traces t
  WHERE t.shipment_id = s.id AND t.channel_id = s.channel_id AND normalized_code(t.code) = ANY(:codes))
-- filter: skus
EXISTS (
  SELECT FROM shipment_items i
  WHERE i.shipment_id = s.id AND i.channel_id = s.channel_id AND i.sku = ANY(:skus))
-- filter: company_ids
s.company_id = ANY(:company_ids)
-- As the index of what is awaited has it, so that this index is taken.
-- filter: late
{is_due}
-- filter: not_late
NOT {is_late}

-- sort: ID
s.id
-- sort: LAST_MODIFIED_AT
s.last_modified_at
-- sort: CREATED_AT
s.created_at
-- sort: EXPECTED_DELIVERY_AT
-- nulls: last
s.expected_delivery_at
-- sort: STATUS
-- nulls: last
s.status
-- sort: ORDER_ID
s.order_id
