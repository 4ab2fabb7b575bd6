-- Whether all that is kept twice agrees, for the operator's `doctor`: tallies, tables of days, counters, the feed, sequences.
-- What is wrong of a tally is counted by one statement, and so of one moment, whoever writes meanwhile; it is mended by
-- adding that difference, which is right whatever they add.

-- fragment: order_tallies
  SELECT x.channel_id, x.company_id, x.status,
    sum(x.n) AS n
  FROM (
    (SELECT channel_id, coalesce(company_id, 0) AS company_id, status AS status, count(*) AS n
    FROM orders
    GROUP BY GROUPING SETS ((channel_id, status), (channel_id, status, company_id))
    HAVING grouping(company_id) = 1 OR company_id IS NOT NULL)
    UNION ALL
    SELECT channel_id, company_id, status, -n FROM order_tallies
  ) AS x
  GROUP BY x.channel_id, x.company_id, x.status
  HAVING sum(x.n) <> 0

-- name: wrong_order_tallies
SELECT count(*)::int AS wrong FROM ({order_tallies}) AS d

-- name: mend_order_tallies
INSERT INTO order_tallies (channel_id, company_id, status, n) {order_tallies}

-- fragment: shipment_tallies
  SELECT x.channel_id, x.company_id, x.status,
    sum(x.n) AS n
  FROM (
    (SELECT channel_id, coalesce(company_id, 0) AS company_id, coalesce(status, '') AS status, count(*) AS n
    FROM shipments
    GROUP BY GROUPING SETS ((channel_id, status), (channel_id, status, company_id))
    HAVING grouping(company_id) = 1 OR company_id IS NOT NULL)
    UNION ALL
    SELECT channel_id, company_id, status, -n FROM shipment_tallies
  ) AS x
  GROUP BY x.channel_id, x.company_id, x.status
  HAVING sum(x.n) <> 0

-- name: wrong_shipment_tallies
SELECT count(*)::int AS wrong FROM ({shipment_tallies}) AS d

-- name: mend_shipment_tallies
INSERT INTO shipment_tallies (channel_id, company_id, status, n) {shipment_tallies}

-- fragment: order_days
  SELECT x.channel_id, x.created_on, x.modified_on, x.status, x.type, x.export_status,
    sum(x.n) AS n, min(x.lowest) AS lowest, max(x.highest) AS highest
  FROM (
    SELECT channel_id, utc_day(created_at) AS created_on, utc_day(last_modified_at) AS modified_on, status, type, export_status,
      count(*) AS n, min(id) AS lowest, max(id) AS highest
    FROM orders
    GROUP BY 1, 2, 3, 4, 5, 6
    UNION ALL
    SELECT channel_id, created_on, modified_on, status, type, export_status, -n, lowest, highest FROM order_days
  ) AS x
  GROUP BY x.channel_id, x.created_on, x.modified_on, x.status, x.type, x.export_status
  HAVING sum(x.n) <> 0

-- name: wrong_order_days
SELECT count(*)::int AS wrong FROM ({order_days}) AS d

-- name: mend_order_days
INSERT INTO order_days (channel_id, created_on, modified_on, status, type, export_status, n, lowest, highest) {order_days}

-- fragment: order_fulfillment_days
  SELECT x.channel_id, x.created_on, x.status,
    sum(x.n) AS n
  FROM (
    SELECT channel_id, utc_day(created_at) AS created_on, status,
      count(*) AS n
    FROM order_fulfillments
    GROUP BY 1, 2, 3
    UNION ALL
    SELECT channel_id, created_on, status, -n FROM order_fulfillment_days
  ) AS x
  GROUP BY x.channel_id, x.created_on, x.status
  HAVING sum(x.n) <> 0

-- name: wrong_order_fulfillment_days
SELECT count(*)::int AS wrong FROM ({order_fulfillment_days}) AS d

-- name: mend_order_fulfillment_days
INSERT INTO order_fulfillment_days (channel_id, created_on, status, n) {order_fulfillment_days}

-- fragment: shipment_days
  SELECT x.channel_id, x.created_on, x.modified_on, x.expected_on, x.status,
    sum(x.n) AS n, min(x.lowest) AS lowest, max(x.highest) AS highest
  FROM (
    SELECT channel_id, utc_day(created_at) AS created_on, utc_day(last_modified_at) AS modified_on, utc_day(expected_delivery_at) AS expected_on,
      status,
      count(*) AS n, min(order_id) AS lowest, max(order_id) AS highest
    FROM shipments
    GROUP BY 1, 2, 3, 4, 5
    UNION ALL
    SELECT channel_id, created_on, modified_on, expected_on, status, -n, lowest, highest FROM shipment_days
  ) AS x
  GROUP BY x.channel_id, x.created_on, x.modified_on, x.expected_on, x.status
  HAVING sum(x.n) <> 0

-- name: wrong_shipment_days
SELECT count(*)::int AS wrong FROM ({shipment_days}) AS d

-- name: mend_shipment_days
INSERT INTO shipment_days (channel_id, created_on, modified_on, expected_on, status, n, lowest, highest) {shipment_days}

-- fragment: shipment_item_days
  SELECT x.channel_id, x.created_on, x.modified_on, x.quantity,
    sum(x.n) AS n, min(x.lowest) AS lowest, max(x.highest) AS highest
  FROM (
    SELECT channel_id, utc_day(created_at) AS created_on, utc_day(last_modified_at) AS modified_on, quantity,
      count(*) AS n, min(order_item_id) AS lowest, max(order_item_id) AS highest
    FROM shipment_items
    GROUP BY 1, 2, 3, 4
    UNION ALL
    SELECT channel_id, created_on, modified_on, quantity, -n, lowest, highest FROM shipment_item_days
  ) AS x
  GROUP BY x.channel_id, x.created_on, x.modified_on, x.quantity
  HAVING sum(x.n) <> 0

-- name: wrong_shipment_item_days
SELECT count(*)::int AS wrong FROM ({shipment_item_days}) AS d

-- name: mend_shipment_item_days
INSERT INTO shipment_item_days (channel_id, created_on, modified_on, quantity, n, lowest, highest) {shipment_item_days}

-- fragment: track_and_trace_days
  SELECT x.channel_id, x.created_on, x.modified_on, x.carrier_id,
    sum(x.n) AS n
  FROM (
    SELECT channel_id, utc_day(created_at) AS created_on, utc_day(last_modified_at) AS modified_on, carrier_id,
      count(*) AS n
    FROM track_and_traces
    GROUP BY 1, 2, 3, 4
    UNION ALL
    SELECT channel_id, created_on, modified_on, carrier_id, -n FROM track_and_trace_days
  ) AS x
  GROUP BY x.channel_id, x.created_on, x.modified_on, x.carrier_id
  HAVING sum(x.n) <> 0

-- name: wrong_track_and_trace_days
SELECT count(*)::int AS wrong FROM ({track_and_trace_days}) AS d

-- name: mend_track_and_trace_days
INSERT INTO track_and_trace_days (channel_id, created_on, modified_on, carrier_id, n) {track_and_trace_days}

-- fragment: lines
  SELECT l.id, l.channel_id
  FROM order_items l
  LEFT JOIN (
    SELECT i.order_item_id, i.channel_id,
      sum(i.quantity) FILTER (WHERE s.status IS DISTINCT FROM 'CANCELED') AS shipped,
      sum(i.quantity) FILTER (WHERE s.status = 'DELIVERED') AS delivered
    FROM shipment_items i
    JOIN shipments s ON s.id = i.shipment_id AND s.channel_id = i.channel_id
    GROUP BY i.order_item_id, i.channel_id
  ) AS k ON k.order_item_id = l.id AND k.channel_id = l.channel_id
  WHERE (l.quantity_shipped, l.quantity_delivered) <> (coalesce(k.shipped, 0), coalesce(k.delivered, 0))
    AND NOT EXISTS (
      SELECT FROM order_items p
      WHERE p.parent_order_item_id = l.id AND p.channel_id = l.channel_id AND p.class = 'product' AND p.quantity > 0)
  UNION ALL
  SELECT l.id, l.channel_id
  FROM order_items l
  CROSS JOIN LATERAL progress_of_line(l) p
  WHERE (l.id, l.channel_id) IN (
      SELECT b.parent_order_item_id, b.channel_id FROM order_items b WHERE b.class = 'product' AND b.quantity > 0)
    AND (l.quantity_shipped, l.quantity_delivered) <> (p.shipped, p.delivered)

-- How much of a line is shipped and delivered.
-- name: wrong_lines
SELECT count(*)::int AS wrong FROM ({lines}) AS d

-- name: mend_lines
SELECT count_shipped(array_agg(d.id ORDER BY d.id, d.channel_id), array_agg(d.channel_id ORDER BY d.id, d.channel_id))
FROM ({lines}) AS d

-- fragment: refunds
  SELECT o.id, o.channel_id, coalesce(r.amount, 0) AS amount
  FROM orders o
  LEFT JOIN (
    SELECT r.order_id, r.channel_id, sum(r.amount) AS amount FROM refunds r GROUP BY r.order_id, r.channel_id
  ) AS r ON r.order_id = o.id AND r.channel_id = o.channel_id
  WHERE o.refunded_total <> coalesce(r.amount, 0)

-- name: wrong_refunds
SELECT count(*)::int AS wrong FROM ({refunds}) AS d

-- name: mend_refunds
UPDATE orders o SET refunded_total = d.amount, last_modified_at = statement_timestamp()
FROM ({refunds}) AS d
WHERE o.id = d.id AND o.channel_id = d.channel_id

-- fragment: refunded_lines
  SELECT l.id, l.order_id, l.channel_id, coalesce(r.quantity, 0) AS quantity
  FROM order_items l
  LEFT JOIN (
    SELECT i.order_item_id, i.order_id, i.channel_id, sum(i.quantity)::int AS quantity
    FROM refund_items i GROUP BY i.order_item_id, i.order_id, i.channel_id
  ) AS r ON r.order_item_id = l.id AND r.order_id = l.order_id AND r.channel_id = l.channel_id
  WHERE l.quantity_refunded <> coalesce(r.quantity, 0)

-- name: wrong_refunded_lines
SELECT count(*)::int AS wrong FROM ({refunded_lines}) AS d

-- name: mend_refunded_lines
UPDATE order_items l SET quantity_refunded = d.quantity
FROM ({refunded_lines}) AS d
WHERE l.id = d.id AND l.order_id = d.order_id AND l.channel_id = d.channel_id

-- Whether each order has what it is found by.
-- fragment: found_orders
  SELECT coalesce(o.id, f.order_id, w.order_id) AS id, coalesce(o.channel_id, f.channel_id, w.channel_id) AS channel_id
  FROM orders o
  FULL JOIN order_fulfillments f ON f.order_id = o.id AND f.channel_id = o.channel_id
  FULL JOIN order_words w ON w.order_id = coalesce(o.id, f.order_id) AND w.channel_id = coalesce(o.channel_id, f.channel_id)
  WHERE o.id IS NULL OR f.order_id IS NULL OR w.order_id IS NULL

-- name: wrong_found_orders
SELECT count(*)::int AS wrong FROM ({found_orders}) AS d

-- name: mend_found_orders
SELECT note_due(array_agg(d.id), array_agg(d.channel_id), array_agg(true)) FROM ({found_orders}) AS d

-- How far each is fulfilled, gathered anew.
-- fragment: fulfillments
  SELECT o.id, o.channel_id
  FROM orders o
  JOIN order_fulfillments f ON f.order_id = o.id AND f.channel_id = o.channel_id
  CROSS JOIN LATERAL fulfillment_of_order(o.id, o.channel_id) AS g
  WHERE (f.status, f.created_at, f.wanted_at) IS DISTINCT FROM (g.status, g.created_at, g.wanted_at)

-- name: wrong_fulfillments
SELECT count(*)::int AS wrong FROM ({fulfillments}) AS d

-- name: mend_fulfillments
SELECT note_due(array_agg(d.id), array_agg(d.channel_id), array_agg(false)) FROM ({fulfillments}) AS d

-- The words of each, gathered anew. Those of codes that an order has no more stay until it is written again.
-- fragment: words
  SELECT o.id, o.channel_id
  FROM orders o
  JOIN order_words w ON w.order_id = o.id AND w.channel_id = o.channel_id
  WHERE NOT tsvector_to_array(w.words) @> tsvector_to_array(words_of_order(o.id, o.channel_id))

-- name: wrong_words
SELECT count(*)::int AS wrong FROM ({words}) AS d

-- name: mend_words
SELECT note_due(array_agg(d.id), array_agg(d.channel_id), array_agg(true)) FROM ({words}) AS d

-- Changes of transactions that are not there, transactions that have no position and wait for none, an end that is behind
-- what has one.
-- name: wrong_feed
SELECT (
    (SELECT count(*) FROM changes c WHERE NOT EXISTS (SELECT FROM transactions x WHERE x.id = c.transaction_id))
    + (SELECT count(*) FROM transactions x
      WHERE x.position IS NULL AND NOT EXISTS (SELECT FROM commits c WHERE c.transaction_id = x.id))
    + (SELECT count(*) FROM transactions x WHERE x.position > (SELECT max(e.position) FROM feed_ends e))
    + (SELECT count(*) FROM (SELECT) AS one WHERE NOT EXISTS (SELECT FROM feed_ends))
    + (SELECT count(*) FROM feed_ends e WHERE e.number > (SELECT s.last_value FROM commit_numbers s))
    + (SELECT count(*) FROM commits c WHERE c.number > (SELECT s.last_value FROM commit_numbers s))
  )::int AS wrong

-- Whoever is written after this is behind all that is there. It takes the lock of who gives positions.
-- name: mend_feed
WITH locked AS MATERIALIZED (
  SELECT pg_advisory_xact_lock(:lock::bigint)
), behind AS (
  SELECT greatest(
    (SELECT max(e.number) FROM feed_ends e), (SELECT max(c.number) FROM commits c), (SELECT s.last_value FROM commit_numbers s)
  ) AS number
  FROM locked
), moved AS (
  SELECT setval('commit_numbers', b.number) FROM behind b WHERE b.number IS NOT NULL
), strays AS (
  INSERT INTO commits (number, transaction_id)
  SELECT b.number + row_number() OVER (ORDER BY x.id), x.id
  FROM transactions x
  CROSS JOIN (SELECT coalesce(number, 0) AS number FROM behind) AS b
  WHERE x.position IS NULL AND NOT EXISTS (SELECT FROM commits c WHERE c.transaction_id = x.id)
  RETURNING number
), numbered AS (
  SELECT setval('commit_numbers', max(s.number)) FROM strays s HAVING count(*) > 0
), ended AS (
  INSERT INTO feed_ends (position, number)
  SELECT x.position, coalesce((SELECT max(e.number) FROM feed_ends e), 0)
  FROM (SELECT coalesce(max(t.position), 0) AS position FROM transactions t) AS x
  WHERE NOT EXISTS (SELECT FROM feed_ends e WHERE e.position >= x.position)
)
SELECT (SELECT count(*) FROM moved) + (SELECT count(*) FROM numbered) AS done

-- Numbers of commits that are waited for until a transaction of this server has ended: of a restored database, one of
-- another server, whose transactions had other numbers.
-- name: wrong_waits
SELECT count(*)::int AS wrong
FROM feed_ends e
WHERE EXISTS (SELECT FROM unnest(e.missing_until) AS u (until) WHERE u.until > pg_snapshot_xmax(pg_current_snapshot()))

-- name: mend_waits
WITH locked AS MATERIALIZED (
  SELECT pg_advisory_xact_lock(:lock::bigint)
)
UPDATE feed_ends e SET missing = '{}', missing_until = '{}'
FROM locked
WHERE EXISTS (SELECT FROM unnest(e.missing_until) AS u (until) WHERE u.until > pg_snapshot_xmax(pg_current_snapshot()))

-- Columns that sequences give numbers to.
-- name: sequences
SELECT DISTINCT s.oid::regclass::text AS sequence, t.oid::regclass::text AS "table", a.attname::text AS "column"
FROM pg_class s
JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = s.oid AND d.deptype IN ('a', 'i')
  AND d.refclassid = 'pg_class'::regclass AND d.refobjsubid > 0
JOIN pg_class t ON t.oid = d.refobjid
JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = d.refobjsubid
WHERE s.relkind = 'S' AND s.relnamespace = current_schema()::regnamespace
UNION
SELECT s.oid::regclass::text, t.oid::regclass::text, a.attname::text
FROM pg_class s
JOIN pg_depend d ON d.classid = 'pg_attrdef'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = s.oid
JOIN pg_attrdef f ON f.oid = d.objid
JOIN pg_class t ON t.oid = f.adrelid
JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = f.adnum
WHERE s.relkind = 'S' AND s.relnamespace = current_schema()::regnamespace
ORDER BY 1, 2, 3

-- What there is of the schema, each with its definition as the server writes it, to be compared with what there should be
-- (sql/catalog.json). What is off, or not valid, is not good. Of a function it is what it does, and not
-- where it is; of a view its columns, since servers write the rest in ways of their own.
-- name: schema_objects
SELECT 'table' AS kind, c.relname::text AS name, c.relkind::text || c.relpersistence::text AS definition, true AS is_good
FROM pg_class c WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p', 'S', 'v')
UNION ALL
SELECT 'column', c.relname || '.' || a.attname,
  concat_ws(' ', format_type(a.atttypid, a.atttypmod), CASE WHEN a.attnotnull THEN 'NOT NULL' END, nullif(a.attidentity, ''),
    nullif(a.attgenerated, ''), 'DEFAULT ' || pg_get_expr(d.adbin, d.adrelid, true)), true
FROM pg_class c
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p', 'v')
UNION ALL
SELECT 'index', c.relname::text, pg_get_indexdef(c.oid, 0, true), i.indisvalid AND i.indisready
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
WHERE c.relnamespace = current_schema()::regnamespace
  AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = c.oid AND k.contype IN ('p', 'u', 'x'))
UNION ALL
SELECT 'constraint', c.relname || '.' || k.conname, regexp_replace(pg_get_constraintdef(k.oid, true), ' NOT VALID$', ''),
  k.convalidated
FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
WHERE k.connamespace = current_schema()::regnamespace AND k.contype IN ('p', 'u', 'x', 'c', 'f')
UNION ALL
SELECT 'trigger', c.relname || '.' || t.tgname, pg_get_triggerdef(t.oid, true), t.tgenabled IN ('O', 'A')
FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
WHERE c.relnamespace = current_schema()::regnamespace AND NOT t.tgisinternal
UNION ALL
SELECT 'function', p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ')',
  md5(concat_ws(' ', p.prokind, p.provolatile, p.proisstrict, p.prosecdef, p.proparallel, p.proconfig, l.lanname,
    pg_get_function_arguments(p.oid), pg_get_function_result(p.oid), p.prosrc, pg_get_function_sqlbody(p.oid))), true
FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
WHERE p.pronamespace = current_schema()::regnamespace AND p.prokind IN ('f', 'p')
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.classid = 'pg_proc'::regclass AND d.deptype = 'e')
ORDER BY 1, 2

-- name: server
SELECT pg_is_in_recovery() AS is_standby, current_setting('transaction_read_only') = 'on' AS is_read_only,
  clock_timestamp() AS now, current_setting('max_connections')::int AS max_connections,
  current_setting('statement_timeout') AS statement_timeout, current_schema()::text AS schema,
  has_schema_privilege(current_schema(), 'CREATE') AS may_create, current_setting('server_version') AS version,
  pg_get_userbyid(d.datdba) AS owner, current_user::text AS role, age(d.datfrozenxid) AS age
FROM pg_database d
WHERE d.datname = current_database()

-- name: migrations
SELECT m.name FROM schema_migrations m ORDER BY m.name

-- Held until the connection ends.
-- name: try_to_mend
SELECT pg_try_advisory_lock(:lock) AS is_free
