-- The import: a batch of records is copied into temporary tables and then written by sets, in the order of this file.
--
-- Rows keep their ids, and a row that says the same already is not touched: each UPDATE compares before it writes. What
-- an order owns (lines, addresses, shipments, their items and codes) becomes what the record says; a list that a record
-- leaves out is left as it is. What orders share (companies, customers) takes what the newest order says of it, so that
-- neither the order of the records nor a second import changes the outcome.
--
-- `n` numbers the records of a batch. A statement named `refuse_…` returns the records that may not be written.
--
-- The rules are those of every write (B-51, B-52): no line is shipped beyond its quantity, and a
-- shipment's status is reachable from the one before. They are checked here for a whole batch, while its rows are
-- locked and before they are written; the store's own guards then find nothing. An order and a shipment are updated at
-- most once each, so that a record is one version of them and one row of the change feed.

-- Who writes, for the transaction alone. A record tells where a parcel has got to and not each step on the way. Each
-- batch is planned for the rows that are there by then, and for keys: a batch is little beside the store, and its
-- statements are sooner done than compiled.
-- name: begin
SELECT set_config('waybill.actor', 'import', true), set_config('waybill.skipped_steps', 'allowed', true),
  set_config('waybill.sub_status', 'given', true),
  set_config('random_page_cost', '1.1', true), set_config('jit', 'off', true)

-- name: has_staging
SELECT to_regclass('pg_temp.import_orders') IS NOT NULL

-- name: staging
CREATE TEMPORARY TABLE import_orders (
  n int PRIMARY KEY, channel text, external_id text, status text, source_status text, type text, currency text,
  company text, company_name text, company_parent text,
  customer_key text, email text, first_name text, last_name text, phone text, has_customer boolean,
  created_at timestamptz, source_modified_at timestamptz, requested_at timestamptz, shipping_method text, reference text,
  left_out text[],
  sub_total numeric, discount_type text, discount_value numeric, discount_amount numeric, lines_tax numeric,
  postage numeric, postage_percentage numeric, postage_tax numeric,
  total_gross numeric, total_net numeric, total_tax numeric, own_gross numeric, own_net numeric, own_tax numeric,
  coupon text, currency_ratio numeric, payment_method text, payment_status text, source_payment_status text,
  has_refunds boolean, refunded_total numeric DEFAULT 0,
  has_addresses boolean, has_shipments boolean,
  channel_id int, company_id int, customer_id int, order_id int,
  is_new boolean DEFAULT false, is_changed boolean DEFAULT false,
  moves_company boolean DEFAULT false, moves_customer boolean DEFAULT false, readdressed boolean DEFAULT false
);
CREATE TEMPORARY TABLE import_addresses (
  n int, position int, type text, company text, first_name text, last_name text, street text, number text,
  postal_code text, city text, region text, country text, phone text, PRIMARY KEY (n, position)
);
CREATE TEMPORARY TABLE import_lines (
  n int, line int, line_id text, item_id int, sku text, name text, quantity int, product_id int, tax_percentage int,
  exact_tax_percentage numeric, tax_code text,
  original_price numeric, discount numeric, price numeric, price_net numeric, price_total numeric,
  price_total_net numeric, tax numeric, additional jsonb, has_product_id boolean, has_additional boolean,
  class text, has_class boolean, parent_line int, has_parent boolean, quantity_canceled int, quantity_unit text,
  has_unit boolean, quantity_shipped bigint DEFAULT 0, quantity_delivered bigint DEFAULT 0, PRIMARY KEY (n, line)
);
CREATE TEMPORARY TABLE import_shipments (
  n int, position int, external_id text, status text, source_status text, sub_status text, has_sub_status boolean,
  sub_status_set_at timestamptz, created_at timestamptz,
  expected_delivery_at timestamptz, has_promise boolean, has_items boolean, has_codes boolean, stored_status text,
  shipment_id uuid, is_new boolean DEFAULT false, is_changed boolean DEFAULT false, PRIMARY KEY (n, external_id)
);
CREATE TEMPORARY TABLE import_sources (n int, shipment text, id text, name text, PRIMARY KEY (n, shipment, id, name));
CREATE TEMPORARY TABLE import_matches (
  n int, shipment text, shipment_id uuid, is_made_here boolean, is_alone boolean, PRIMARY KEY (n, shipment, shipment_id)
);
CREATE TEMPORARY TABLE import_shipment_items (
  n int, shipment text, line int, quantity int, PRIMARY KEY (n, shipment, line)
);
CREATE TEMPORARY TABLE import_codes (
  n int, shipment text, position int, path text, carrier text, code text, key text, expected_delivery_at timestamptz,
  expected_local timestamp, has_promise boolean, carrier_id int, code_id uuid, PRIMARY KEY (n, shipment, position)
);
CREATE TEMPORARY TABLE import_parcel_items (
  n int, shipment text, code_position int, path text, line int, quantity int,
  PRIMARY KEY (n, shipment, code_position, line)
);
-- The codes of which a record says what is in their parcels.
CREATE TEMPORARY TABLE import_packed_codes (
  n int, shipment text, code_position int, track_and_trace_id uuid, PRIMARY KEY (n, shipment, code_position)
);
-- Those without a shipment are records of their own, or of the codes of an order whose record is outdated.
CREATE TEMPORARY TABLE import_events (
  n int, position int, path text, shipment text, code_position int, of_order text, of_shipment text,
  channel text, carrier text, code text,
  shipment_id uuid, external_id text, status text, sub_status text, occurred_at timestamptz, occurred_local timestamp,
  expected_delivery_at timestamptz, expected_local timestamp, location text, description text,
  id uuid DEFAULT gen_random_uuid(), track_and_trace_id uuid, channel_id int, carrier_id int, candidates int,
  is_new boolean DEFAULT false
);
CREATE TEMPORARY TABLE import_refunds (
  n int, position int, external_id text, amount numeric, is_computed boolean, reason text, created_at timestamptz,
  refund_id uuid, is_new boolean DEFAULT false, PRIMARY KEY (n, external_id)
);
CREATE TEMPORARY TABLE import_refund_items (
  n int, refund text, line int, quantity int, amount numeric, is_computed boolean,
  PRIMARY KEY (n, refund, line)
)

-- What is staged hangs on orders, but for news.
-- name: is_staged
SELECT EXISTS (SELECT FROM import_orders) OR EXISTS (SELECT FROM import_events)

-- name: empty_staging
TRUNCATE import_orders, import_addresses, import_lines, import_shipments, import_sources, import_matches,
  import_shipment_items, import_codes,
  import_refunds, import_refund_items, import_parcel_items, import_packed_codes, import_events

-- Without their own statistics, a store of some hundred rows makes the planner compare every row with every other.
-- name: measure_staging
ANALYZE import_addresses, import_lines, import_shipment_items, import_codes

-- In a store that is filled for the first time, rows are found and foreign keys checked by whatever seemed cheapest when
-- it was empty, so that each reads a whole channel, until there are statistics: in the next import as well.
-- name: measure_store
ANALYZE companies, customers, orders, order_addresses, order_items, shipments, shipment_items, track_and_traces

-- Imports take turns, so that two of the same file do not both create a row.
-- name: take_turn
SELECT pg_advisory_xact_lock(:lock)

-- name: known
SELECT (SELECT array_agg(code) FROM order_statuses) AS statuses,
  (SELECT array_agg(code) FROM channels) AS channels,
  ARRAY(SELECT f.status FROM shipment_status_followers f ORDER BY f.status, f.next_status) AS way_statuses,
  ARRAY(SELECT f.next_status FROM shipment_status_followers f ORDER BY f.status, f.next_status) AS way_next_statuses,
  k.channels AS carrier_channels, k.names AS carrier_names, k.templates AS carrier_templates
FROM (
  SELECT array_agg(h.code) AS channels, array_agg(n.name) AS names, array_agg(c.track_and_trace_url) AS templates
  FROM carriers c
  LEFT JOIN channels h ON h.id = c.channel_id
  CROSS JOIN LATERAL unnest(ARRAY[c.source_name, c.name, c.key]) AS n (name)
  WHERE n.name IS NOT NULL
) k

-- The server reads a file for each.
-- name: time_zones
SELECT z.name FROM time_zones() AS z (name)

-- name: channel
WITH stored AS (SELECT FROM channels WHERE code = :code),
updated AS (
  UPDATE channels c
  SET name = :name, currency = :currency, language = coalesce(:language, c.language),
    time_zone = coalesce(:time_zone, c.time_zone)
  WHERE c.code = :code
    AND (c.name, c.currency, c.language, c.time_zone)
      IS DISTINCT FROM (:name, :currency, coalesce(:language, c.language), coalesce(:time_zone, c.time_zone))
  RETURNING c.id
), created AS (
  INSERT INTO channels (code, name, currency, language, time_zone)
  SELECT :code, :name, :currency, coalesce(:language, 'EN'), coalesce(:time_zone, 'UTC') WHERE NOT EXISTS (SELECT FROM stored)
  RETURNING id
)
SELECT EXISTS (SELECT FROM created) AS is_new, EXISTS (SELECT FROM updated) AS is_changed

-- Base amounts of its orders are in its currency.
-- name: refuse_channel_currency
SELECT '$.currency' AS path, format('the channel has orders, whose base amounts are in %s', c.currency) AS reason
FROM channels c
WHERE c.code = :code AND c.currency <> :currency AND EXISTS (SELECT FROM orders o WHERE o.channel_id = c.id)

-- The table of rates becomes what the record says; orders that have a rate keep it.
-- name: channel_rates
WITH given AS (
  SELECT c.id AS channel_id, r.currency, r.rate
  FROM channels c
  CROSS JOIN unnest(:currencies::text[], :rates::numeric[]) AS r (currency, rate)
  WHERE c.code = :code
), gone AS (
  DELETE FROM channel_rates r USING channels c
  WHERE c.code = :code AND r.channel_id = c.id AND r.currency <> ALL (:currencies::text[])
  RETURNING r.currency
), written AS (
  INSERT INTO channel_rates AS r (channel_id, currency, rate) SELECT channel_id, currency, rate FROM given
  ON CONFLICT (channel_id, currency) DO UPDATE SET rate = excluded.rate WHERE r.rate <> excluded.rate
  RETURNING r.currency
)
SELECT EXISTS (SELECT FROM gone UNION ALL SELECT FROM written) AS is_changed

-- How the orders of a channel finish (docs/lines.md).
-- name: channel_statuses
WITH updated AS (
  UPDATE channels c
  SET shipped_status = CASE WHEN :has_shipped THEN :shipped_status::text ELSE c.shipped_status END,
    delivered_status = CASE WHEN :has_delivered THEN :delivered_status::text ELSE c.delivered_status END
  WHERE c.code = :code
    AND (:has_shipped AND c.shipped_status IS DISTINCT FROM :shipped_status::text
      OR :has_delivered AND c.delivered_status IS DISTINCT FROM :delivered_status::text)
  RETURNING c.id
)
SELECT EXISTS (SELECT FROM updated) AS is_changed

-- A carrier is known by its key, and without one by its name, by the one that it had until it was renamed here, or by the
-- key that is made of it (decision 20). A name that was given here stays until records say another one than before.
-- name: carrier
WITH channel AS (SELECT (SELECT h.id FROM channels h WHERE h.code = :channel) AS id),
stored AS (
  SELECT c.id FROM carriers c, channel h
  WHERE c.channel_id IS NOT DISTINCT FROM h.id AND (c.key = :key
    OR :key::text IS NULL AND (c.name = :name OR c.source_name = :name OR c.key = slug(:name)))
  ORDER BY c.name <> :name, c.source_name IS DISTINCT FROM :name
  LIMIT 1
), given AS (SELECT * FROM unnest(:languages::text[], :texts::text[]) AS d (language, value)),
described AS (
  SELECT c.id FROM stored c
  WHERE :languages::text[] IS NOT NULL
    AND EXISTS (
      SELECT FROM given g
      FULL JOIN (SELECT language, value FROM carrier_descriptions WHERE carrier_id = c.id) d USING (language)
      WHERE g.language IS NULL OR d.language IS NULL OR g.value IS DISTINCT FROM d.value
    )
), updated AS (
  UPDATE carriers c SET name = CASE WHEN c.source_name = :name THEN c.name ELSE :name END,
    source_name = CASE WHEN c.source_name IS NOT NULL OR c.name <> :name THEN :name END,
    type = coalesce(:type, c.type), track_and_trace_url = coalesce(:template, c.track_and_trace_url),
    logo = coalesce(:logo, c.logo), time_zone = coalesce(:time_zone, c.time_zone), last_modified_at = statement_timestamp()
  WHERE c.id IN (SELECT id FROM stored) AND (
    c.id IN (SELECT id FROM described) OR (c.type, c.track_and_trace_url, c.logo, c.time_zone) IS DISTINCT FROM (
      coalesce(:type, c.type), coalesce(:template, c.track_and_trace_url), coalesce(:logo, c.logo),
      coalesce(:time_zone, c.time_zone))
    OR c.source_name IS DISTINCT FROM :name AND (c.source_name IS NOT NULL OR c.name <> :name))
  RETURNING c.id
), created AS (
  INSERT INTO carriers (channel_id, key, name, type, track_and_trace_url, logo, time_zone)
  SELECT h.id, :key, :name, coalesce(:type, 'DELIVERY'), :template, :logo, :time_zone FROM channel h
  WHERE NOT EXISTS (SELECT FROM stored)
  RETURNING id
), undescribed AS (
  DELETE FROM carrier_descriptions d
  WHERE d.carrier_id IN (SELECT id FROM described) AND d.language NOT IN (SELECT language FROM given)
), redescribed AS (
  INSERT INTO carrier_descriptions AS d (carrier_id, language, value)
  SELECT c.id, g.language, g.value
  FROM (SELECT id FROM created UNION ALL SELECT id FROM described) c CROSS JOIN given g
  ON CONFLICT (carrier_id, language) DO UPDATE SET value = excluded.value
)
SELECT EXISTS (SELECT FROM created) AS is_new, EXISTS (SELECT FROM updated) AS is_changed

-- name: refuse_carrier_name
SELECT '$.name' AS path, format('in use by the carrier with the key %s', to_json(o.key)) AS reason
FROM carriers o
WHERE o.channel_id IS NOT DISTINCT FROM (SELECT h.id FROM channels h WHERE h.code = :channel)
  AND o.name = :name AND o.key <> :key AND NOT EXISTS (
    SELECT FROM carriers c
    WHERE c.channel_id IS NOT DISTINCT FROM o.channel_id AND c.key = :key AND c.source_name = :name)

-- A customer as a record of its own: by the key, else by the e-mail, else, with neither, by the phone of one who has no
-- more. `is_of_another` tells that the e-mail is that of another one than the key.
-- name: customer
WITH channel AS (SELECT h.id FROM channels h WHERE h.code = :channel),
keyed AS (
  SELECT coalesce(c.merged_into_id, c.id) AS id FROM customers c, channel h
  WHERE c.channel_id = h.id AND c.external_id = :external_id
), mailed AS (
  SELECT coalesce(c.merged_into_id, c.id) AS id FROM customers c, channel h
  WHERE c.channel_id = h.id AND lower(c.email) = lower(:email)
), phoned AS (
  SELECT c.id FROM customers c, channel h
  WHERE c.channel_id = h.id AND c.phone = :phone AND c.email IS NULL AND c.external_id IS NULL
    AND :email::text IS NULL AND :external_id::text IS NULL
  ORDER BY c.id
  LIMIT 1
), stored AS (
  SELECT c.* FROM customers c
  WHERE c.channel_id = (SELECT h.id FROM channel h)
    AND c.id = coalesce((SELECT k.id FROM keyed k), (SELECT m.id FROM mailed m), (SELECT p.id FROM phoned p))
), other AS (
  SELECT FROM mailed m, stored s WHERE m.id <> s.id
  UNION ALL
  SELECT FROM stored s WHERE s.external_id <> :external_id AND NOT EXISTS (SELECT FROM keyed)
), updated AS (
  UPDATE customers c
  SET email = CASE WHEN EXISTS (SELECT FROM mailed) AND lower(c.email) IS DISTINCT FROM lower(:email) THEN c.email
      ELSE coalesce(:email, c.email) END,
    external_id = coalesce(c.external_id, :external_id), phone = coalesce(:phone, c.phone),
    first_name = coalesce(:first_name, c.first_name), last_name = coalesce(:last_name, c.last_name),
    last_modified_at = statement_timestamp()
  FROM stored s
  WHERE c.id = s.id AND c.channel_id = s.channel_id AND NOT EXISTS (SELECT FROM other)
    AND (c.email, c.external_id, c.phone, c.first_name, c.last_name) IS DISTINCT FROM (
      CASE WHEN EXISTS (SELECT FROM mailed) AND lower(c.email) IS DISTINCT FROM lower(:email) THEN c.email
        ELSE coalesce(:email, c.email) END,
      coalesce(c.external_id, :external_id), coalesce(:phone, c.phone), coalesce(:first_name, c.first_name),
      coalesce(:last_name, c.last_name))
  RETURNING c.id
), created AS (
  INSERT INTO customers (channel_id, email, external_id, phone, first_name, last_name)
  SELECT h.id, :email, :external_id, :phone, coalesce(:first_name, ''), coalesce(:last_name, '')
  FROM channel h
  WHERE NOT EXISTS (SELECT FROM stored)
  RETURNING id
)
SELECT EXISTS (SELECT FROM created) AS is_new, EXISTS (SELECT FROM updated) AS is_changed,
  EXISTS (SELECT FROM other) AS is_of_another

-- name: find_channels
UPDATE import_orders i SET channel_id = c.id FROM channels c WHERE c.code = i.channel

-- A parent that no record has named yet bears its key as its name until one does.
-- name: create_companies
INSERT INTO companies (channel_id, external_id, name)
SELECT DISTINCT ON (g.channel_id, g.external_id) g.channel_id, g.external_id, g.name
FROM (
  SELECT channel_id, company, company_name, created_at FROM import_orders WHERE company IS NOT NULL
  UNION ALL
  SELECT channel_id, company_parent, company_parent, NULL FROM import_orders WHERE company_parent IS NOT NULL
) g (channel_id, external_id, name, created_at)
WHERE NOT EXISTS (SELECT FROM companies c WHERE c.external_id = g.external_id AND c.channel_id = g.channel_id)
ORDER BY g.channel_id, g.external_id, g.created_at DESC NULLS LAST

-- name: find_companies
UPDATE import_orders i SET
  company_id = (SELECT c.id FROM companies c WHERE c.external_id = i.company AND c.channel_id = i.channel_id)
WHERE i.company IS NOT NULL

-- Orders, then their shipments, then their lines are locked, each by their ids, so that nobody ships from a line while
-- it is checked and changed.
-- name: find_orders
WITH stored AS (
  SELECT o.id, i.n FROM orders o
  JOIN import_orders i ON i.external_id = o.external_id AND i.channel_id = o.channel_id
  ORDER BY o.id
  FOR UPDATE OF o
)
UPDATE import_orders i SET order_id = stored.id FROM stored WHERE i.n = stored.n

-- Newer wins (decision 18): a record older than the one that is there is left out whole, but for the events of its codes,
-- which are facts, and are staged once more by themselves. A moment that is yet to come, from before such were refused, is not
-- believed.
-- name: leave_out_outdated
SELECT i.n, '$.sourceModifiedAt' AS path,
  format('older than what is there, of %s: nothing is changed', api_moment(o.source_modified_at))
    || CASE WHEN EXISTS (SELECT FROM import_events e WHERE e.n = i.n) THEN ', but for the events of its codes' ELSE '' END AS reason
FROM import_orders i
JOIN orders o ON o.id = i.order_id AND o.channel_id = i.channel_id
WHERE i.source_modified_at < o.source_modified_at AND o.source_modified_at <= now() + interval '1 day'

-- Customers are accounts, known by their ids. An order's is the one that has the key of the record; else the one that the
-- order has, whatever the e-mail is now; else the one that has the e-mail. Who was merged into another is that other one.
-- An account that has neither a password nor a key, nor another order, is nobody's yet: an order whose e-mail is corrected
-- leaves it for the one that has the e-mail. A phone alone says nothing: many may have it.
-- name: find_customers
UPDATE import_orders i SET customer_id = CASE
    WHEN f.by_key IS NOT NULL THEN f.by_key
    WHEN f.stays AND (f.by_email IS NULL OR NOT f.is_unclaimed) THEN f.present
    ELSE f.by_email
  END
FROM (
  SELECT i.n, keyed.id AS by_key, present.id AS present, mailed.id AS by_email,
    present.id IS NOT NULL AND (i.customer_key IS NULL OR present.external_id IS NULL
      AND (i.email IS NULL OR present.email IS NULL OR lower(present.email) = lower(i.email))) AS stays,
    present.password_hash IS NULL AND present.external_id IS NULL AND NOT EXISTS (
      SELECT FROM orders o
      WHERE o.customer_id = present.id AND o.channel_id = present.channel_id AND o.id <> i.order_id) AS is_unclaimed
  FROM import_orders i
  LEFT JOIN LATERAL (
    SELECT coalesce(c.merged_into_id, c.id) AS id FROM customers c
    WHERE c.external_id = i.customer_key AND c.channel_id = i.channel_id
  ) keyed ON true
  LEFT JOIN orders o ON o.id = i.order_id AND o.channel_id = i.channel_id
  LEFT JOIN customers present ON present.id = o.customer_id AND present.channel_id = o.channel_id
  LEFT JOIN LATERAL (
    SELECT c.id FROM customers m
    JOIN customers c ON c.id = coalesce(m.merged_into_id, m.id) AND c.channel_id = m.channel_id
    WHERE m.channel_id = i.channel_id AND lower(m.email) = lower(i.email)
      AND (i.customer_key IS NULL OR c.external_id IS NULL)
  ) mailed ON true
  WHERE i.has_customer
) f
WHERE f.n = i.n

-- name: give_keys_to_customers
UPDATE customers c SET external_id = i.customer_key, last_modified_at = statement_timestamp()
FROM (
  SELECT DISTINCT ON (channel_id, customer_id) * FROM import_orders
  WHERE customer_key IS NOT NULL AND customer_id IS NOT NULL
  ORDER BY channel_id, customer_id, created_at DESC, external_id DESC
) i
WHERE c.id = i.customer_id AND c.channel_id = i.channel_id AND c.external_id IS NULL
  AND NOT EXISTS (SELECT FROM customers k WHERE k.external_id = i.customer_key AND k.channel_id = i.channel_id)

-- Of two keys that came for one account, one has it.
-- name: part_customers
UPDATE import_orders i SET customer_id = NULL
FROM customers c
WHERE c.id = i.customer_id AND c.channel_id = i.channel_id AND i.customer_key <> c.external_id AND NOT EXISTS (
  SELECT FROM customers k
  WHERE k.external_id = i.customer_key AND k.channel_id = i.channel_id AND k.merged_into_id = c.id)

-- An e-mail that is somebody else's stays theirs: the account is without one, so that nobody sees the orders of the other.
-- name: create_customers_with_keys
INSERT INTO customers (channel_id, external_id, email, first_name, last_name, phone)
SELECT g.channel_id, g.customer_key, CASE WHEN g.place = 1 AND NOT EXISTS (
      SELECT FROM customers c WHERE c.channel_id = g.channel_id AND lower(c.email) = lower(g.email)) THEN g.email END,
  coalesce(g.first_name, ''), coalesce(g.last_name, ''), g.phone
FROM (
  SELECT k.*, row_number() OVER (PARTITION BY k.channel_id, lower(k.email) ORDER BY k.created_at DESC, k.external_id DESC) AS place
  FROM (
    SELECT DISTINCT ON (i.channel_id, i.customer_key) i.* FROM import_orders i
    WHERE i.customer_id IS NULL AND i.customer_key IS NOT NULL
    ORDER BY i.channel_id, i.customer_key, i.created_at DESC, i.external_id DESC
  ) k
) g
ORDER BY g.channel_id, g.customer_key

-- name: find_customers_with_keys
UPDATE import_orders i SET customer_id = c.id
FROM customers c
WHERE i.customer_id IS NULL AND c.external_id = i.customer_key AND c.channel_id = i.channel_id

-- name: create_customers_with_emails
INSERT INTO customers (channel_id, email, first_name, last_name, phone)
SELECT DISTINCT ON (i.channel_id, lower(i.email)) i.channel_id, i.email, coalesce(i.first_name, ''),
  coalesce(i.last_name, ''), i.phone
FROM import_orders i
WHERE i.customer_id IS NULL AND i.email IS NOT NULL
  AND NOT EXISTS (SELECT FROM customers c WHERE c.channel_id = i.channel_id AND lower(c.email) = lower(i.email))
ORDER BY i.channel_id, lower(i.email), i.created_at DESC, i.external_id DESC

-- name: find_customers_with_emails
UPDATE import_orders i SET customer_id = coalesce(c.merged_into_id, c.id)
FROM customers c
WHERE i.customer_id IS NULL AND i.has_customer AND c.channel_id = i.channel_id AND lower(c.email) = lower(i.email)

-- Each order has a customer of its own.
-- name: number_other_customers
UPDATE import_orders i SET customer_id = nextval('user_ids') WHERE i.customer_id IS NULL AND i.has_customer

-- name: create_other_customers
INSERT INTO customers (id, channel_id, first_name, last_name, phone)
SELECT i.customer_id, i.channel_id, coalesce(i.first_name, ''), coalesce(i.last_name, ''), i.phone
FROM import_orders i
WHERE i.has_customer AND i.email IS NULL AND i.customer_key IS NULL
  AND NOT EXISTS (SELECT FROM customers c WHERE c.id = i.customer_id AND c.channel_id = i.channel_id)
ORDER BY i.n

-- name: number_orders
UPDATE import_orders i SET order_id = nextval(pg_get_serial_sequence('orders', 'id')), is_new = true
FROM (SELECT n FROM import_orders WHERE order_id IS NULL ORDER BY n) unknown
WHERE i.n = unknown.n

-- name: measure_orders
ANALYZE import_orders

-- name: lock_shipments
SELECT FROM shipments s
JOIN import_orders i ON i.order_id = s.order_id AND i.channel_id = s.channel_id
WHERE NOT i.is_new
ORDER BY s.id
FOR UPDATE OF s

-- name: lock_lines
SELECT FROM order_items l
JOIN import_orders i ON i.order_id = l.order_id AND i.channel_id = l.channel_id
WHERE NOT i.is_new
ORDER BY l.id
FOR UPDATE OF l

-- A line is known by its key, where the record and the store have one, and by its number otherwise (decision 20). The
-- statements after these know lines by their numbers alone, so those that have moved are given their new ones.
-- name: find_lines
UPDATE import_lines l SET item_id = s.id
FROM import_orders i
JOIN order_items s ON s.order_id = i.order_id AND s.channel_id = i.channel_id
WHERE i.n = l.n AND NOT i.is_new AND (
  s.line_id = l.line_id
  OR s.line = l.line AND (s.line_id IS NULL AND NOT EXISTS (
        SELECT FROM order_items k
        WHERE k.order_id = i.order_id AND k.channel_id = i.channel_id AND k.line_id = l.line_id)
    OR l.line_id IS NULL AND NOT EXISTS (SELECT FROM import_lines k WHERE k.n = l.n AND k.line_id = s.line_id)))

-- Of the lines that others take the numbers of, those that the record does not list go on a thousand million further
-- until they are deleted, or their order is refused.
-- name: take_numbers_away
UPDATE order_items s
SET line = CASE WHEN EXISTS (SELECT FROM import_lines l WHERE l.n = i.n AND l.item_id = s.id) THEN NULL
  ELSE s.line + 1000000000 END
FROM import_orders i
WHERE NOT i.is_new AND s.order_id = i.order_id AND s.channel_id = i.channel_id AND s.line IS NOT NULL
  AND EXISTS (SELECT FROM import_lines l WHERE l.n = i.n AND (l.line = s.line) <> (l.item_id IS NOT DISTINCT FROM s.id))

-- name: give_numbers
WITH moved AS (
  UPDATE order_items s SET line = l.line
  FROM import_lines l
  JOIN import_orders i USING (n)
  WHERE s.id = l.item_id AND s.order_id = i.order_id AND s.channel_id = i.channel_id AND s.line IS DISTINCT FROM l.line
  RETURNING s.order_id
)
UPDATE import_orders i SET is_changed = true FROM moved WHERE i.order_id = moved.order_id

-- What a record does not mention of a line stays. Where a source lowers a quantity and does not mention what is canceled,
-- it has taken that off: what was canceled of a line becomes less by as much.
-- name: keep_line_parts
UPDATE import_lines l SET
  class = CASE WHEN l.has_class THEN l.class ELSE s.class END,
  parent_line = CASE WHEN l.has_parent THEN l.parent_line ELSE (
    SELECT k.line FROM order_items p JOIN import_lines k ON k.n = l.n AND k.line = p.line
    WHERE p.id = s.parent_order_item_id AND p.channel_id = s.channel_id) END,
  quantity_canceled = coalesce(l.quantity_canceled, greatest(0, s.quantity_canceled - greatest(0, s.quantity - l.quantity))),
  quantity_unit = CASE WHEN l.has_unit THEN l.quantity_unit ELSE s.quantity_unit END
FROM import_orders i
JOIN order_items s ON s.order_id = i.order_id AND s.channel_id = i.channel_id
WHERE i.n = l.n AND NOT i.is_new AND s.line = l.line

-- name: complete_line_parts
UPDATE import_lines SET quantity_canceled = coalesce(quantity_canceled, 0), class = coalesce(class, 'product')
WHERE quantity_canceled IS NULL OR class IS NULL

-- name: refuse_other_classes
SELECT DISTINCT ON (l.n) l.n, '$.items' AS path,
  format('line %s has been shipped and cannot become %s', l.line, l.class) AS reason
FROM import_lines l
JOIN import_orders i USING (n)
JOIN order_items s ON s.order_id = i.order_id AND s.channel_id = i.channel_id AND s.line = l.line
WHERE NOT i.is_new AND s.quantity_shipped > 0 AND is_shippable_class(s.class) AND NOT is_shippable_class(l.class)
ORDER BY l.n, l.line

-- What has been shipped of a line itself would count no more.
-- name: refuse_other_bundles
SELECT DISTINCT ON (l.n) l.n, '$.items' AS path,
  format('line %s has been shipped and cannot become a bundle, of line %s', l.line, p.line) AS reason
FROM import_lines l
JOIN import_orders i USING (n)
JOIN order_items s ON s.order_id = i.order_id AND s.channel_id = i.channel_id AND s.line = l.line
JOIN import_lines p ON p.n = l.n AND p.parent_line = l.line AND p.class = 'product'
WHERE NOT i.is_new AND s.quantity_shipped > 0 AND NOT is_bundle(s.id, s.channel_id)
ORDER BY l.n, l.line, p.line

-- name: refuse_other_goods
SELECT DISTINCT ON (l.n) l.n, '$.items' AS path,
  format('line %s has been shipped as %s and cannot become %s', l.line, s.sku, l.sku) AS reason
FROM import_lines l
JOIN import_orders i USING (n)
JOIN order_items s ON s.order_id = i.order_id AND s.channel_id = i.channel_id AND s.line = l.line
WHERE NOT i.is_new AND s.quantity_shipped > 0 AND lower(s.sku) <> lower(l.sku)
ORDER BY l.n, l.line

-- name: find_shipments
UPDATE import_shipments g SET shipment_id = s.id, stored_status = s.status,
  expected_delivery_at = CASE WHEN g.has_promise THEN g.expected_delivery_at ELSE s.expected_delivery_at END
FROM import_orders i
JOIN shipments s ON s.order_id = i.order_id AND s.channel_id = i.channel_id
WHERE i.n = g.n AND s.external_id = g.external_id

-- What other shipments of the order may be one of the record (decision 20): those with a key of it among their sources, a
-- source that it names, which may be the key that a mutation gave them, or one of its codes. Of several with a code it is
-- the one that is known by a key as well, and else rather those whose parcel is under way than those that have freed it, and
-- of these the newest that was not canceled, or else the newest.
-- `is_alone` says that each is no other's match.
-- name: match_shipments
INSERT INTO import_matches (n, shipment, shipment_id, is_made_here, is_alone)
WITH candidates AS (
  SELECT g.n, g.external_id, s.id, s.channel_id, s.is_made_here OR s.external_id IS NULL AS is_made_here,
    EXISTS (
      SELECT FROM shipment_sources k
      WHERE k.shipment_id = s.id AND k.channel_id = s.channel_id AND (k.id = g.external_id OR EXISTS (
        SELECT FROM import_sources m
        WHERE m.n = g.n AND m.shipment = g.external_id AND m.id = k.id AND lower(m.name) = lower(k.name)))
    ) OR s.is_made_here AND EXISTS (
      SELECT FROM import_sources m WHERE m.n = g.n AND m.shipment = g.external_id AND m.id = s.external_id) AS has_key
  FROM import_shipments g
  JOIN import_orders i ON i.n = g.n
  JOIN shipments s ON s.order_id = i.order_id AND s.channel_id = i.channel_id
  WHERE NOT i.is_new AND g.shipment_id IS NULL
    AND NOT EXISTS (SELECT FROM import_shipments o WHERE o.n = g.n AND o.shipment_id = s.id)
), coded AS (
  SELECT c.n, c.external_id, c.id,
    rank() OVER (PARTITION BY c.n, c.external_id, k.key ORDER BY NOT c.has_key, is_code_free(t), is_code_canceled(t),
      CASE WHEN is_code_free(t) THEN t.created_at END DESC) AS fit
  FROM candidates c
  JOIN track_and_traces t ON t.shipment_id = c.id AND t.channel_id = c.channel_id
  JOIN import_codes k ON k.n = c.n AND k.shipment = c.external_id AND k.key = normalized_code(t.code)
)
SELECT c.n, c.external_id, c.id, c.is_made_here,
  count(*) OVER (PARTITION BY c.n, c.external_id) = 1 AND count(*) OVER (PARTITION BY c.id) = 1
FROM candidates c
WHERE c.has_key
  OR EXISTS (SELECT FROM coded t WHERE t.n = c.n AND t.external_id = c.external_id AND t.id = c.id AND t.fit = 1)

-- name: adopt_shipments
UPDATE import_shipments g SET shipment_id = s.id, stored_status = s.status,
  expected_delivery_at = CASE WHEN g.has_promise THEN g.expected_delivery_at ELSE s.expected_delivery_at END
FROM import_matches m
JOIN import_orders i ON i.n = m.n
JOIN shipments s ON s.id = m.shipment_id AND s.channel_id = i.channel_id
WHERE m.is_alone AND g.n = m.n AND g.external_id = m.shipment

-- A record that has several shipments where one was made here, or one where there are several, tells of what is known: they
-- stay as they are.
-- name: leave_known_items
DELETE FROM import_shipment_items k
WHERE EXISTS (
  SELECT FROM import_matches m WHERE m.n = k.n AND m.shipment = k.shipment AND m.is_made_here AND NOT m.is_alone)

-- name: leave_known_codes
DELETE FROM import_codes k
WHERE EXISTS (
  SELECT FROM import_matches m WHERE m.n = k.n AND m.shipment = k.shipment AND m.is_made_here AND NOT m.is_alone)

-- name: leave_known_shipments
DELETE FROM import_shipments k
WHERE EXISTS (
  SELECT FROM import_matches m WHERE m.n = k.n AND m.shipment = k.external_id AND m.is_made_here AND NOT m.is_alone)

-- Somebody has set a status here from which the lifecycle does not lead to that of the record, which may say its own for ever.
-- fragment: leads_back
(s.status_changed_at IS NOT NULL AND s.status_set_at IS NOT NULL AND g.status <> s.status AND NOT EXISTS (
    SELECT FROM shipment_status_followers f WHERE f.status = s.status AND f.next_status = g.status))

-- What a record repeats of the one before it is no news, so that what was set here since stays. Where no record was noted,
-- one without a moment may repeat another.
-- fragment: repeats_status
(i.status <> o.status AND o.status_changed_at IS NOT NULL AND (i.source_modified_at < o.status_changed_at) IS NOT TRUE
  AND (i.status = o.source_status OR o.source_status IS NULL AND i.source_modified_at IS NULL))

-- fragment: repeats_payment_status
(i.source_payment_status = o.source_payment_status AND i.payment_status IS DISTINCT FROM o.payment_status)

-- What an order finishes with follows from what is shipped of it, and is nothing to wonder at.
-- name: warn_repeated
SELECT i.n, w.path, w.reason
FROM import_orders i
JOIN orders o ON o.id = i.order_id AND o.channel_id = i.channel_id
JOIN channels c ON c.id = i.channel_id
CROSS JOIN LATERAL (
  SELECT '$.status' AS path,
    format('the order is %s here, and stays so: the record says %s again', o.status, i.status) AS reason
  WHERE {repeats_status} AND (o.status IN (c.shipped_status, c.delivered_status)) IS NOT TRUE
  UNION ALL
  SELECT '$.payment.status',
    format('the payment is %s here, and stays so: the record says %s again', to_json(o.payment_status),
      to_json(i.payment_status))
  WHERE {repeats_payment_status} AND (i.source_modified_at < o.payment_status_date) IS NOT TRUE
) w
ORDER BY i.n, w.path

-- name: warn_statuses
SELECT g.n, format('$.shipments[%s].status', g.position) AS path,
  format('the shipment was set to %s here, and stays so: it does not get to %s', s.status, g.status) AS reason
FROM import_shipments g
JOIN import_orders i USING (n)
JOIN shipments s ON s.id = g.shipment_id AND s.channel_id = i.channel_id
WHERE {leads_back} AND NOT s.is_made_here AND s.external_id IS NOT NULL
  AND (i.source_modified_at < s.status_changed_at) IS NOT TRUE
ORDER BY g.n, g.position

-- A status that was set here, or by a record since, stays where the record is older than that, or where the lifecycle does
-- not lead from it to the record's; one that carriers told where it is older than their news; and that of a shipment made
-- here where the lifecycle does not lead from it to the record's. What a record repeats of the record before is no news,
-- however new the record is: of what there is a way to and fro, what was told or set since stays.
-- name: keep_statuses
WITH kept AS (
  UPDATE import_orders i SET status = o.status
  FROM orders o
  WHERE o.id = i.order_id AND o.channel_id = i.channel_id
    AND (i.source_modified_at < o.status_changed_at OR {repeats_status})
), stored AS (
  SELECT g.n, g.external_id, s.status, s.source_status, s.is_made_here OR s.external_id IS NULL AS is_made_here,
    {leads_back} AS leads_back, e.told,
    CASE WHEN s.status_set_at IS NULL AND e.told > 0 THEN e.newest
      WHEN s.status_changed_at IS NOT NULL THEN least(s.status_changed_at, s.status_set_at) END AS since
  FROM import_shipments g
  JOIN import_orders i USING (n)
  JOIN shipments s ON s.id = g.shipment_id AND s.channel_id = i.channel_id
  CROSS JOIN LATERAL (
    SELECT max(e.occurred_at) AS newest, count(*) FILTER (WHERE (e.occurred_at <= s.status_set_at) IS NOT TRUE) AS told
    FROM track_and_traces t
    JOIN tracking_events e ON e.track_and_trace_id = t.id AND e.channel_id = t.channel_id
    WHERE t.shipment_id = s.id AND t.channel_id = s.channel_id
  ) e
)
UPDATE import_shipments g SET status = NULL, has_sub_status = false
FROM stored s
JOIN import_orders i USING (n)
WHERE s.n = g.n AND s.external_id = g.external_id AND (
  i.source_modified_at < s.since OR s.leads_back
  -- What carriers told stays where the record is behind it.
  OR s.told > 0 AND g.status <> s.status
    AND NOT EXISTS (SELECT FROM shipment_status_followers f WHERE f.status = s.status AND f.next_status = g.status)
  -- Nobody knows whether a record repeats another where it does not say when it was made, or none was noted.
  OR g.status <> s.status
    AND (g.status = s.source_status OR s.told > 0 AND (i.source_modified_at IS NULL OR s.source_status IS NULL))
    AND EXISTS (SELECT FROM shipment_status_followers f WHERE f.status = g.status AND f.next_status = s.status)
  OR s.is_made_here AND NOT EXISTS (
    SELECT FROM shipment_status_followers f WHERE f.status = s.status AND f.next_status = g.status))

-- What the record says beyond the status holds until there is another one, or news of the shipment's codes that is newer
-- than the record (decision 18): any, where the record does not say when it was made. It takes what was said of a former
-- status away.
-- name: keep_sub_statuses
UPDATE import_shipments g SET sub_status = CASE WHEN k.is_said THEN g.sub_status ELSE k.sub_status END,
  sub_status_set_at = CASE WHEN k.is_said THEN k.said_at ELSE k.sub_status_set_at END
FROM (
  SELECT h.n, h.external_id, s.sub_status, s.sub_status_set_at,
    CASE WHEN h.has_sub_status THEN i.source_modified_at END AS said_at, coalesce(h.status <> s.status, h.status IS NOT NULL)
      OR h.has_sub_status AND h.sub_status IS DISTINCT FROM s.sub_status AND NOT EXISTS (
        SELECT FROM track_and_traces t
        JOIN tracking_events e ON e.track_and_trace_id = t.id AND e.channel_id = t.channel_id
        WHERE t.shipment_id = s.id AND t.channel_id = s.channel_id
          AND (e.occurred_at < i.source_modified_at) IS NOT TRUE) AS is_said
  FROM import_shipments h
  JOIN import_orders i USING (n)
  JOIN shipments s ON s.id = h.shipment_id AND s.channel_id = i.channel_id
) k
WHERE k.n = g.n AND k.external_id = g.external_id

-- name: keep_payment_statuses
UPDATE import_orders i SET payment_status = o.payment_status
FROM orders o
WHERE o.id = i.order_id AND o.channel_id = i.channel_id
  AND (i.source_modified_at < o.payment_status_date OR {repeats_payment_status})

-- Delivered is what came to its receiver as a whole or in part, also where a return was told later.
-- fragment: is_delivered
(h.status IN ('DELIVERED', 'PARTIALLY_DELIVERED') OR EXISTS (
  SELECT FROM track_and_traces t
  JOIN tracking_events e ON e.track_and_trace_id = t.id AND e.channel_id = t.channel_id
  WHERE t.shipment_id = h.id AND t.channel_id = h.channel_id AND e.status IN ('DELIVERED', 'PARTIALLY_DELIVERED')))

-- What is delivered stays where a record lists it no more (decision 18): it is added to the record, shipments, then their
-- items and codes.
-- name: keep_delivered_shipments
INSERT INTO import_shipments (
  n, position, external_id, sub_status, sub_status_set_at, created_at, expected_delivery_at, has_promise, has_items,
  has_codes, stored_status, shipment_id)
SELECT i.n, -1, h.external_id, h.sub_status, h.sub_status_set_at, h.created_at, h.expected_delivery_at, true, false, false, h.status, h.id
FROM import_orders i
JOIN shipments h ON h.order_id = i.order_id AND h.channel_id = i.channel_id
WHERE i.has_shipments AND h.external_id IS NOT NULL AND NOT h.is_made_here AND {is_delivered}
  AND NOT EXISTS (SELECT FROM import_shipments g WHERE g.n = i.n AND g.shipment_id = h.id)

-- name: keep_delivered_items
INSERT INTO import_shipment_items (n, shipment, line, quantity)
SELECT g.n, g.external_id, l.line, sum(s.quantity)
FROM import_shipments g
JOIN shipments h ON h.id = g.shipment_id
JOIN shipment_items s ON s.shipment_id = h.id AND s.channel_id = h.channel_id
JOIN order_items l ON l.id = s.order_item_id AND l.channel_id = s.channel_id
WHERE g.has_items AND l.line IS NOT NULL AND {is_delivered}
  AND NOT EXISTS (
    SELECT FROM import_shipment_items m WHERE m.n = g.n AND m.shipment = g.external_id AND m.line = l.line)
GROUP BY g.n, g.external_id, l.line

-- Nor does less of it stay.
-- name: keep_delivered_quantities
UPDATE import_shipment_items m SET quantity = held.quantity
FROM (
  SELECT g.n, g.external_id, l.line, sum(s.quantity) AS quantity
  FROM import_shipments g
  JOIN shipments h ON h.id = g.shipment_id
  JOIN shipment_items s ON s.shipment_id = h.id AND s.channel_id = h.channel_id
  JOIN order_items l ON l.id = s.order_item_id AND l.channel_id = s.channel_id
  WHERE g.has_items AND {is_delivered}
  GROUP BY g.n, g.external_id, l.line
) held
WHERE m.n = held.n AND m.shipment = held.external_id AND m.line = held.line AND m.quantity < held.quantity

-- name: number_shipments
UPDATE import_shipments SET shipment_id = gen_random_uuid(), is_new = true WHERE shipment_id IS NULL

-- name: measure_shipments
ANALYZE import_shipments

-- What a code's carrier may be called: its key in whatever case, its name, the name that records know, or what the key was
-- made of.
-- fragment: is_called
(c.key = lower(k.carrier COLLATE "C") OR c.name = k.carrier OR c.source_name = k.carrier OR c.key = slug(k.carrier))

-- Of two, that of the channel rather than that of all.
-- name: find_carriers
WITH found AS (
  SELECT DISTINCT ON (k.channel_id, k.carrier) k.channel_id, k.carrier, c.id
  FROM (SELECT DISTINCT i.channel_id, k.carrier FROM import_codes k JOIN import_orders i USING (n)) k
  JOIN carriers c ON (c.channel_id = k.channel_id OR c.channel_id IS NULL) AND {is_called}
  ORDER BY k.channel_id, k.carrier, c.channel_id IS NULL, c.key <> lower(k.carrier COLLATE "C"), c.name <> k.carrier,
    c.source_name IS DISTINCT FROM k.carrier
)
UPDATE import_codes k SET carrier_id = found.id
FROM import_orders i, found
WHERE i.n = k.n AND found.channel_id = i.channel_id AND found.carrier = k.carrier

-- A code that is there keeps its carrier as long as that is called so. One that was recorded as an address, before its carrier
-- had that page, is what the page says.
-- name: find_codes
UPDATE import_codes k SET code_id = t.id, carrier_id = t.carrier_id
FROM import_shipments g
JOIN track_and_traces t ON t.shipment_id = g.shipment_id
LEFT JOIN carriers c ON c.id = t.carrier_id
WHERE g.n = k.n AND g.external_id = k.shipment AND (normalized_code(t.code) = k.key
    OR t.code LIKE '%://%' AND EXISTS (
      SELECT FROM carriers w
      WHERE coalesce(w.id = t.carrier_id, w.channel_id IS NULL OR w.channel_id = t.channel_id)
        AND normalized_code(code_of_page(t.code, w.track_and_trace_url)) = k.key))
  AND (t.carrier_id IS NOT DISTINCT FROM k.carrier_id OR {is_called})

-- The same parcel with another carrier, or of which one side knows none.
-- name: find_other_codes
UPDATE import_codes k SET code_id = t.id, carrier_id = coalesce(k.carrier_id, t.carrier_id)
FROM import_shipments g
JOIN track_and_traces t ON t.shipment_id = g.shipment_id
WHERE g.n = k.n AND g.external_id = k.shipment AND normalized_code(t.code) = k.key AND k.code_id IS NULL
  AND NOT EXISTS (SELECT FROM import_codes o WHERE o.n = k.n AND o.code_id = t.id)
  AND NOT EXISTS (
    SELECT FROM import_codes o
    WHERE o.n = k.n AND o.shipment = k.shipment AND o.key = k.key AND o.code_id IS NULL AND o.position < k.position)
  AND NOT EXISTS (
    SELECT FROM track_and_traces o
    WHERE o.shipment_id = t.shipment_id AND normalized_code(o.code) = k.key AND o.id < t.id
      AND NOT EXISTS (SELECT FROM import_codes u WHERE u.n = k.n AND u.code_id = o.id))

-- What the record lists under another shipment of its order has moved there, and takes along what carriers told of it
-- (decision 20): it is a code of a shipment that goes or lists it no more. One carrier's code is not another's; a side that
-- knows none may be either. Where the same code moves several times, each goes to one place.
-- name: find_moved_codes
WITH listed AS (
  SELECT k.n, k.shipment, k.position, k.key, k.carrier, k.carrier_id, g.shipment_id, i.order_id, i.channel_id,
    row_number() OVER (PARTITION BY k.n, k.key, k.carrier_id ORDER BY g.position, k.position) AS number
  FROM import_codes k
  JOIN import_shipments g ON g.n = k.n AND g.external_id = k.shipment
  JOIN import_orders i ON i.n = k.n
  WHERE k.code_id IS NULL AND NOT i.is_new
), unlisted AS (
  SELECT i.n, t.id, t.carrier_id, normalized_code(t.code) AS key,
    row_number() OVER (PARTITION BY i.n, normalized_code(t.code), t.carrier_id ORDER BY t.created_at, t.id) AS number
  FROM import_orders i
  JOIN shipments s ON s.order_id = i.order_id AND s.channel_id = i.channel_id
  JOIN track_and_traces t ON t.shipment_id = s.id AND t.channel_id = s.channel_id
  LEFT JOIN import_shipments g ON g.n = i.n AND g.shipment_id = s.id
  WHERE i.n IN (SELECT l.n FROM listed l) AND i.has_shipments
    AND CASE WHEN g.n IS NULL THEN s.external_id IS NOT NULL AND NOT s.is_made_here ELSE g.has_codes END
    AND NOT EXISTS (SELECT FROM import_codes o WHERE o.n = i.n AND o.code_id = t.id)
), fitting AS (
  SELECT k.n, k.shipment, k.position, t.id, coalesce(k.carrier_id, t.carrier_id) AS carrier_id,
    row_number() OVER (PARTITION BY k.n, k.shipment, k.position
      ORDER BY k.carrier_id IS DISTINCT FROM t.carrier_id, t.id) AS of_listed,
    row_number() OVER (PARTITION BY t.id
      ORDER BY k.carrier_id IS DISTINCT FROM t.carrier_id, k.shipment, k.position) AS of_unlisted
  FROM listed k
  JOIN unlisted t ON t.n = k.n AND t.key = k.key
  WHERE CASE WHEN k.carrier_id IS NOT DISTINCT FROM t.carrier_id THEN k.number = t.number
    ELSE k.carrier IS NULL OR t.carrier_id IS NULL END
)
UPDATE import_codes k SET code_id = f.id, carrier_id = f.carrier_id
FROM fitting f
WHERE f.of_listed = 1 AND f.of_unlisted = 1 AND k.n = f.n AND k.shipment = f.shipment AND k.position = f.position

-- What a record does not mention stays, and so does a promise that carriers have told.
-- name: date_codes
UPDATE import_codes k SET expected_delivery_at = CASE
  WHEN t.id IS NOT NULL AND (NOT k.has_promise OR EXISTS (
    SELECT FROM tracking_events e
    WHERE e.track_and_trace_id = t.id AND e.channel_id = t.channel_id AND e.expected_delivery_at IS NOT NULL
  )) THEN t.expected_delivery_at
  ELSE coalesce(k.expected_delivery_at, promised_at(k.expected_local, k.carrier_id, i.channel_id)) END
FROM import_codes c
JOIN import_orders i USING (n)
LEFT JOIN track_and_traces t ON t.id = c.code_id AND t.channel_id = i.channel_id
WHERE c.n = k.n AND c.shipment = k.shipment AND c.position = k.position AND (t.id IS NOT NULL OR k.expected_local IS NOT NULL)

-- name: keep_delivered_codes
INSERT INTO import_codes (n, shipment, position, path, code, key, expected_delivery_at, carrier_id, code_id)
SELECT g.n, g.external_id, -row_number() OVER (PARTITION BY g.n, g.external_id ORDER BY c.id),
  format('$.shipments[%s].trackAndTraces', g.position), c.code, normalized_code(c.code), c.expected_delivery_at,
  c.carrier_id, c.id
FROM import_shipments g
JOIN shipments h ON h.id = g.shipment_id
JOIN track_and_traces c ON c.shipment_id = h.id AND c.channel_id = h.channel_id
WHERE g.has_codes AND {is_delivered}
  AND NOT EXISTS (SELECT FROM import_codes k WHERE k.n = g.n AND k.code_id = c.id)

-- Carriers that have gone, or gone to another channel, since the import began; and one carrier's code that a shipment lists
-- twice, whichever of its names the carrier is called by (B-54).
-- name: refuse_codes
SELECT DISTINCT ON (k.n) k.n, k.path, k.reason
FROM (
  SELECT c.n, regexp_replace(c.path, '\.code$', '.carrier') AS path, format('unknown carrier %s', to_json(c.carrier)) AS reason
  FROM import_codes c
  WHERE c.carrier IS NOT NULL AND c.carrier_id IS NULL
  UNION ALL
  SELECT c.n, c.path, format('%s is a duplicate', to_json(c.code))
  FROM (
    SELECT c.*, row_number() OVER (PARTITION BY c.n, c.shipment, c.key, c.carrier_id ORDER BY c.position) AS number
    FROM import_codes c
    WHERE c.carrier IS NOT NULL AND c.carrier_id IS NOT NULL
  ) c
  WHERE c.number > 1
) k
ORDER BY k.n, k.path

-- name: refuse_shipment_statuses
SELECT DISTINCT ON (g.n) g.n, format('$.shipments[%s].status', g.position) AS path,
  format('a shipment does not get from %s to %s', g.stored_status, g.status) AS reason
FROM import_shipments g
WHERE g.stored_status <> g.status
  AND (g.stored_status, g.status) NOT IN (SELECT status, next_status FROM shipment_status_followers)
ORDER BY g.n, g.position

-- A shipment that is over is closed for items (decision 22), but a source may tell late what one without any holds.
-- name: refuse_items_of_closed_shipments
SELECT DISTINCT ON (g.n) g.n, format('$.shipments[%s].items', g.position) AS path,
  format('the shipment is %s, and closed for items: %s more of line %s', g.stored_status, m.quantity - held.quantity, m.line)
    AS reason
FROM import_shipments g
JOIN import_orders i USING (n)
JOIN import_shipment_items m ON m.n = g.n AND m.shipment = g.external_id
CROSS JOIN LATERAL (
  SELECT coalesce(sum(s.quantity) FILTER (WHERE l.line = m.line), 0) AS quantity, count(*) AS items
  FROM shipment_items s
  JOIN order_items l ON l.id = s.order_item_id AND l.channel_id = s.channel_id
  WHERE s.shipment_id = g.shipment_id AND s.channel_id = i.channel_id
) held
WHERE NOT g.is_new AND g.stored_status IN ('DELIVERED', 'CANCELED') AND held.items > 0 AND m.quantity > held.quantity
ORDER BY g.n, g.position, m.line

-- An order says whether it can be shipped (decision 22). What has left the house is told of the past, and may have before
-- the order became what it is; and of an order that is closed everything is.
-- name: refuse_shipments_of_orders
SELECT DISTINCT ON (g.n) g.n, format('$.shipments[%s]', g.position) AS path,
  format('an order that is %s cannot be shipped', i.status) AS reason
FROM import_shipments g
JOIN import_orders i USING (n)
JOIN order_statuses w ON w.code = i.status
WHERE g.is_new AND coalesce(g.status, 'CREATED') IN ('CREATED', 'PROCESSING')
  AND NOT w.is_shippable AND w.customer_status IS DISTINCT FROM 'closed'
ORDER BY g.n, g.position

-- What is no goods, and bundles, whose parts are shipped (decision 21); but for what the store has shipped of them.
-- name: refuse_lines_of_shipments
SELECT DISTINCT ON (m.n) m.n, format('$.shipments[%s].items', g.position) AS path,
  CASE WHEN is_shippable_class(t.class) THEN format('line %s is a bundle: its parts are shipped', m.line)
    ELSE format('line %s is of class %s, which is not shipped', m.line, t.class) END AS reason
FROM import_shipment_items m
JOIN import_shipments g ON g.n = m.n AND g.external_id = m.shipment
JOIN import_lines t ON t.n = m.n AND t.line = m.line
WHERE (NOT is_shippable_class(t.class)
    OR EXISTS (SELECT FROM import_lines p WHERE p.n = t.n AND p.parent_line = t.line AND p.class = 'product'
      AND p.quantity > 0))
  AND NOT EXISTS (
    SELECT FROM shipment_items s
    JOIN order_items l ON l.id = s.order_item_id AND l.channel_id = s.channel_id
    WHERE s.shipment_id = g.shipment_id AND l.line = m.line)
ORDER BY m.n, g.position, m.line

-- Items of the store that the records leave as they are: of shipments that are not theirs or come without items.
-- fragment: kept
import_orders i
  JOIN shipments h ON h.order_id = i.order_id AND h.channel_id = i.channel_id
  LEFT JOIN import_shipments g ON g.n = i.n AND g.shipment_id = h.id
  JOIN shipment_items s ON s.shipment_id = h.id AND s.channel_id = h.channel_id
  JOIN order_items l ON l.id = s.order_item_id AND l.channel_id = s.channel_id

-- fragment: are_kept
NOT i.is_new AND (NOT i.has_shipments OR g.n IS NULL AND (h.is_made_here OR h.external_id IS NULL) OR NOT g.has_items)

-- name: refuse_missing_lines
SELECT held.n, '$.items' AS path,
  format('line %s is gone, but a shipment of the store holds it', min(held.line % 1000000000)) AS reason
FROM (
  SELECT i.n, l.line
  FROM {kept}
  WHERE {are_kept} AND l.line IS NOT NULL
  UNION ALL
  SELECT m.n, m.line FROM import_shipment_items m
) held
WHERE NOT EXISTS (SELECT FROM import_lines t WHERE t.n = held.n AND t.line = held.line)
GROUP BY held.n

-- What of each line will be shipped once the records are written.
-- name: count_shipped
UPDATE import_lines t SET quantity_shipped = shipped.quantity, quantity_delivered = shipped.delivered
FROM (
  SELECT n, line, sum(quantity) AS quantity, coalesce(sum(quantity) FILTER (WHERE status = 'DELIVERED'), 0) AS delivered
  FROM (
    SELECT m.n, m.line, m.quantity, coalesce(g.status, g.stored_status) AS status
    FROM import_shipment_items m
    JOIN import_shipments g ON g.n = m.n AND g.external_id = m.shipment
    WHERE coalesce(g.status, g.stored_status) IS DISTINCT FROM 'CANCELED'
    UNION ALL
    SELECT i.n, l.line, s.quantity, coalesce(g.status, h.status)
    FROM {kept}
    WHERE {are_kept} AND coalesce(g.status, h.status) IS DISTINCT FROM 'CANCELED'
  ) items
  GROUP BY n, line
) shipped
WHERE t.n = shipped.n AND t.line = shipped.line

-- A day that is promised is compared with the day of the creation where the channel is; all else the record tells alone.
-- name: refuse_promises
SELECT DISTINCT ON (h.n) h.n, format('$.shipments[%s].expectedDeliveryAt', h.position) AS path,
  'must not lie before the shipment''s creation' AS reason
FROM import_shipments h
JOIN import_orders i USING (n)
JOIN channels c ON c.id = i.channel_id
WHERE is_day(h.expected_delivery_at) AND h.expected_delivery_at IS DISTINCT FROM i.requested_at
  AND h.expected_delivery_at < coalesce(h.created_at, i.created_at)
  AND (h.expected_delivery_at AT TIME ZONE 'UTC')::date
    < (coalesce(h.created_at, i.created_at) AT TIME ZONE c.time_zone)::date
ORDER BY h.n, h.position

-- name: refuse_overshipped_lines
SELECT DISTINCT ON (n) n, '$.items' AS path,
  format('line %s: %s shipped in the store, but %s ordered', line, quantity_shipped, quantity)
    || CASE WHEN quantity_canceled > 0 THEN format(' and %s canceled', quantity_canceled) ELSE '' END AS reason
FROM import_lines
WHERE quantity_shipped > open_quantity(quantity, quantity_canceled)
ORDER BY n, line

-- Whoever writes an order in many statements sees to its status itself: see finish_orders in 0014_lines.sql.
-- name: hold_finishing
SELECT set_config('waybill.finishing', 'held', true)

-- name: release_finishing
SELECT set_config('waybill.finishing', '', true)

-- The status that the order has when all of the record is written. Lines without a number are those made here.
-- name: finish_orders
UPDATE import_orders i
SET status = finished_status(i.status, c.shipped_status, c.delivered_status, p.ordered, p.shipped, p.delivered)
FROM channels c, import_orders k
CROSS JOIN LATERAL (
  SELECT sum(g.open)::bigint AS ordered, sum(least(g.open, g.shipped))::bigint AS shipped,
    sum(least(g.open, g.delivered))::bigint AS delivered
  FROM (
    SELECT open_quantity(t.quantity, t.quantity_canceled) AS open, t.quantity_shipped, t.quantity_delivered
    FROM import_lines t
    WHERE t.n = k.n AND is_shippable_class(t.class)
      AND NOT EXISTS (SELECT FROM import_lines b WHERE b.n = t.n AND b.parent_line = t.line AND b.class = 'product'
        AND b.quantity > 0)
    UNION ALL
    SELECT open_quantity(s.quantity, s.quantity_canceled), s.quantity_shipped, s.quantity_delivered
    FROM order_items s
    WHERE s.order_id = k.order_id AND s.channel_id = k.channel_id AND s.line IS NULL AND is_shippable_class(s.class)
      AND NOT is_bundle(s.id, s.channel_id)
  ) g (open, shipped, delivered)
) p
WHERE k.n = i.n AND c.id = i.channel_id AND (c.shipped_status IS NOT NULL OR c.delivered_status IS NOT NULL)
  AND p.ordered > 0

-- name: update_companies
WITH newest AS (
  SELECT DISTINCT ON (company_id) * FROM import_orders
  WHERE company IS NOT NULL ORDER BY company_id, created_at DESC, external_id DESC
), given AS (
  SELECT i.n, i.company_id, i.channel_id, i.company_name, p.id AS parent_id
  FROM newest i
  LEFT JOIN companies p ON p.external_id = i.company_parent AND p.channel_id = i.channel_id
  WHERE NOT EXISTS (
    SELECT FROM orders o
    WHERE o.company_id = i.company_id AND o.channel_id = i.channel_id
      AND (o.created_at, o.external_id) > (i.created_at, i.external_id)
      AND NOT EXISTS (SELECT FROM import_orders b WHERE b.external_id = o.external_id AND b.channel_id = o.channel_id)
  )
), changed AS (
  UPDATE companies c SET name = g.company_name, parent_id = coalesce(g.parent_id, c.parent_id), last_modified_at = statement_timestamp()
  FROM given g
  WHERE c.id = g.company_id AND c.channel_id = g.channel_id
    AND (c.name, c.parent_id) IS DISTINCT FROM (g.company_name, coalesce(g.parent_id, c.parent_id))
  RETURNING g.n
)
UPDATE import_orders i SET moves_company = true FROM changed WHERE i.n = changed.n

-- Names and phone are those of the newest order that is placed with the account's own keys. An account without a password
-- takes another e-mail, if nobody has it, once all of its orders bear that one, and one without an e-mail at once; who has
-- a password keeps the e-mail to log in with, which only a record of the customer changes.
-- name: update_customers
WITH newest AS (
  SELECT DISTINCT ON (customer_id) * FROM import_orders
  WHERE has_customer ORDER BY customer_id, created_at DESC, external_id DESC
), given AS (
  SELECT i.*, CASE WHEN c.password_hash IS NULL AND lower(c.email) IS DISTINCT FROM lower(i.email) AND i.email IS NOT NULL
      AND NOT EXISTS (SELECT FROM customers k WHERE k.channel_id = i.channel_id AND lower(k.email) = lower(i.email))
      AND (c.email IS NULL OR NOT EXISTS (
        SELECT FROM orders o
        LEFT JOIN import_orders b ON b.order_id = o.id AND b.channel_id = o.channel_id
        WHERE o.customer_id = c.id AND o.channel_id = c.channel_id
          AND lower(CASE WHEN b.has_customer THEN coalesce(b.email, o.email) ELSE o.email END) <> lower(i.email)))
    THEN i.email ELSE c.email END AS known_email,
    c.external_id AS known_key
  FROM newest i
  JOIN customers c ON c.id = i.customer_id AND c.channel_id = i.channel_id
), changed AS (
  UPDATE customers c
  SET email = i.known_email, first_name = coalesce(i.first_name, c.first_name),
    last_name = coalesce(i.last_name, c.last_name), phone = coalesce(i.phone, c.phone),
    last_modified_at = statement_timestamp()
  FROM given i
  WHERE c.id = i.customer_id AND c.channel_id = i.channel_id
    AND (i.email IS NULL OR lower(i.known_email) = lower(i.email) OR i.known_key = i.customer_key)
    AND (c.email, c.first_name, c.last_name, c.phone) IS DISTINCT FROM
      (i.known_email, coalesce(i.first_name, c.first_name), coalesce(i.last_name, c.last_name), coalesce(i.phone, c.phone))
    AND NOT EXISTS (
      SELECT FROM orders o
      WHERE o.customer_id = i.customer_id AND o.channel_id = i.channel_id
        AND (o.created_at, o.external_id) > (i.created_at, i.external_id)
        AND NOT EXISTS (SELECT FROM import_orders b WHERE b.external_id = o.external_id AND b.channel_id = o.channel_id)
    )
  RETURNING i.n
)
UPDATE import_orders i SET moves_customer = true FROM changed WHERE i.n = changed.n

-- name: refuse_company_circles
WITH RECURSIVE line AS (
  SELECT i.n, c.id AS first, c.parent_id, c.channel_id
  FROM import_orders i
  JOIN companies c ON c.id = i.company_id AND c.channel_id = i.channel_id
  WHERE i.moves_company AND i.company_parent IS NOT NULL
  UNION
  SELECT line.n, line.first, c.parent_id, c.channel_id
  FROM line
  JOIN companies c ON c.id = line.parent_id AND c.channel_id = line.channel_id
)
SELECT DISTINCT n, '$.company.parentExternalId' AS path, 'the company would be above itself' AS reason
FROM line
WHERE parent_id = first

-- What a record does not mention stays (decision 18).
-- name: keep_order_values
UPDATE import_orders i SET
  type = CASE WHEN 'type' = ANY(i.left_out) THEN o.type ELSE i.type END,
  company_id = CASE WHEN 'company' = ANY(i.left_out) THEN o.company_id ELSE i.company_id END,
  customer_id = CASE WHEN 'customer' = ANY(i.left_out) THEN o.customer_id ELSE i.customer_id END,
  email = CASE WHEN 'customer' = ANY(i.left_out) OR i.has_customer THEN coalesce(i.email, o.email) END,
  first_name = CASE WHEN 'customer' = ANY(i.left_out) OR i.has_customer THEN coalesce(i.first_name, o.first_name) END,
  last_name = CASE WHEN 'customer' = ANY(i.left_out) OR i.has_customer THEN coalesce(i.last_name, o.last_name) END,
  requested_at = CASE WHEN 'requested_delivery_at' = ANY(i.left_out) THEN o.postage_request_date ELSE i.requested_at END,
  shipping_method = CASE WHEN 'shipping_method' = ANY(i.left_out) THEN o.shipping_method ELSE i.shipping_method END,
  postage = CASE WHEN 'shipping_amount' = ANY(i.left_out) THEN o.postage_gross ELSE i.postage END,
  postage_percentage = CASE WHEN 'shipping_tax_percentage' = ANY(i.left_out) THEN o.postage_tax_percentage
    ELSE i.postage_percentage END,
  reference = CASE WHEN 'reference' = ANY(i.left_out) THEN o.reference ELSE i.reference END,
  coupon = CASE WHEN 'coupon' = ANY(i.left_out) THEN o.coupon_code ELSE i.coupon END,
  currency_ratio = CASE WHEN 'currency_ratio' = ANY(i.left_out) AND i.currency = o.currency THEN o.currency_ratio
    ELSE i.currency_ratio END,
  payment_method = CASE WHEN 'payment_method' = ANY(i.left_out) THEN o.payment_method ELSE i.payment_method END,
  payment_status = CASE WHEN 'payment_status' = ANY(i.left_out) THEN o.payment_status ELSE i.payment_status END
FROM orders o
WHERE o.id = i.order_id AND o.channel_id = i.channel_id AND NOT i.is_new AND (i.left_out <> '{}' OR i.has_customer)

-- name: refuse_ratios
SELECT i.n, '$.currencyRatio' AS path, format('must be 1: the order is in %s, as its channel is', i.currency) AS reason
FROM import_orders i
JOIN channels c ON c.id = i.channel_id
WHERE i.currency = c.currency AND i.currency_ratio <> 1 AND 'currency_ratio' <> ALL (i.left_out)

-- Without a rate of its own an order has that of its channel's table, if there is one (decision 23).
-- name: find_ratios
UPDATE import_orders i SET currency_ratio = CASE WHEN i.currency = c.currency THEN 1
  ELSE coalesce(i.currency_ratio, (
    SELECT r.rate FROM channel_rates r WHERE r.channel_id = c.id AND r.currency = i.currency)) END
FROM channels c
WHERE c.id = i.channel_id

-- name: add_up
UPDATE import_orders i SET postage = p.gross, postage_tax = p.tax,
  total_gross = i.sub_total - i.discount_amount + p.gross, total_tax = i.lines_tax + p.tax,
  total_net = i.sub_total - i.discount_amount + p.gross + i.lines_tax + p.tax
FROM (
  SELECT n, round(postage, minor_units(currency)) AS gross,
    round(postage * postage_percentage / 100, minor_units(currency)) AS tax
  FROM import_orders
) p
WHERE p.n = i.n

-- The totals of the record are what is shown (decision 23), but somebody may want to know of a difference.
-- name: warn_totals
SELECT i.n, '$.totals.' || t.name AS path,
  format('%s in the record, but its lines make %s', money_text(t.own, i.currency), money_text(t.computed, i.currency))
    AS reason
FROM import_orders i
CROSS JOIN LATERAL (VALUES
  (1, 'gross', i.own_gross, i.total_gross), (2, 'net', i.own_net, i.total_net), (3, 'tax', i.own_tax, i.total_tax)
) AS t (position, name, own, computed)
WHERE t.own <> t.computed
ORDER BY i.n, t.position

-- name: take_totals
UPDATE import_orders i SET total_gross = o.gross, total_tax = o.tax, total_net = o.gross + o.tax
FROM (
  SELECT n, coalesce(own_tax, total_tax) AS tax,
    coalesce(own_gross, own_net - coalesce(own_tax, total_tax), total_gross) AS gross
  FROM import_orders
) o
WHERE o.n = i.n AND (i.own_gross, i.own_net, i.own_tax) IS DISTINCT FROM (NULL::numeric, NULL::numeric, NULL::numeric)

-- Refunds are known by their keys. Those that were made here are not the record's to take away.
-- name: find_refunds
UPDATE import_refunds f SET refund_id = r.id, created_at = coalesce(f.created_at, r.created_at)
FROM import_orders i
JOIN refunds r ON r.order_id = i.order_id AND r.channel_id = i.channel_id
WHERE i.n = f.n AND r.external_id = f.external_id

-- name: number_refunds
UPDATE import_refunds SET refund_id = gen_random_uuid(), is_new = true WHERE refund_id IS NULL

-- fragment: is_listed
EXISTS (SELECT FROM import_refunds f WHERE f.n = i.n AND f.refund_id = r.id)

-- fragment: stays
r.order_id = i.order_id AND r.channel_id = i.channel_id
  AND (NOT i.has_refunds OR (r.external_id IS NULL OR r.is_made_here) AND NOT {is_listed})

-- Amounts in two currencies make no sum.
-- name: refuse_currencies
SELECT i.n, '$.currency' AS path, format('the order has been paid back in %s, by refunds that the record does not list', o.currency)
    AS reason
FROM import_orders i
JOIN orders o ON o.id = i.order_id AND o.channel_id = i.channel_id
WHERE o.currency <> i.currency AND EXISTS (SELECT FROM refunds r WHERE {stays})
UNION ALL
SELECT i.n, '$.currency', format('the order has been invoiced or paid in %s', o.currency)
FROM import_orders i
JOIN orders o ON o.id = i.order_id AND o.channel_id = i.channel_id
WHERE o.currency <> i.currency AND (o.invoiced_total, o.payment_gross, o.payment_net, o.payment_tax) <> (0, 0, 0, 0)
ORDER BY 1

-- What is paid back of a line by refunds that stay, beside what the record says; `most` is what all of the line costs.
-- fragment: shared
(
    SELECT i.n, t.line, i.currency, sum(m.amount) AS kept, greatest(0, round(
        t.price_total * CASE WHEN i.sub_total > 0 THEN 1 - least(i.discount_amount / i.sub_total, 1) ELSE 1 END + t.tax,
        minor_units(i.currency))) AS most
    FROM import_orders i
    JOIN refunds r ON {stays}
    JOIN refund_items m ON m.refund_id = r.id AND m.channel_id = r.channel_id
    JOIN order_items l ON l.id = m.order_item_id AND l.channel_id = m.channel_id
    JOIN import_lines t ON t.n = i.n AND t.line = l.line
    WHERE i.has_refunds
    GROUP BY i.n, t.line, i.currency, i.sub_total, i.discount_amount, t.price_total, t.tax
  ) s

-- What is computed is no more than they leave.
-- name: limit_refund_items
UPDATE import_refund_items m SET amount = k.amount
FROM (
  SELECT w.n, w.refund, w.line,
    round(least(w.amount, greatest(0, s.most - s.kept - w.before)), minor_units(s.currency)) AS amount
  FROM (
    SELECT p.*, coalesce(sum(p.amount) OVER (
        PARTITION BY p.n, p.line ORDER BY f.position ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS before
    FROM import_refund_items p
    JOIN import_refunds f ON f.n = p.n AND f.external_id = p.refund
  ) w
  JOIN {shared} ON s.n = w.n AND s.line = w.line
  WHERE w.is_computed
) k
WHERE k.n = m.n AND k.refund = m.refund AND k.line = m.line AND k.amount < m.amount

-- name: add_up_refunds
UPDATE import_refunds f SET amount = s.amount
FROM (SELECT m.n, m.refund, sum(m.amount) AS amount FROM import_refund_items m GROUP BY m.n, m.refund) s
WHERE s.n = f.n AND s.refund = f.external_id AND f.is_computed AND f.amount <> s.amount

-- name: warn_refund_items
SELECT m.n, '$.refunds' AS path, format('%s is paid back of line %s beside the %s that was paid back here, but it cost %s',
  money_text(sum(m.amount), s.currency), m.line, money_text(s.kept, s.currency), money_text(s.most, s.currency)) AS reason
FROM import_refund_items m
JOIN {shared} ON s.n = m.n AND s.line = m.line
GROUP BY m.n, m.line, s.kept, s.most, s.currency
HAVING sum(m.amount) + s.kept > s.most
ORDER BY m.n, m.line

-- name: count_refunds
UPDATE import_orders i SET refunded_total =
  (SELECT coalesce(sum(f.amount), 0) FROM import_refunds f WHERE f.n = i.n)
    + (SELECT coalesce(sum(r.amount), 0) FROM refunds r WHERE {stays})
WHERE i.has_refunds OR NOT i.is_new

-- name: warn_refunds
SELECT i.n, '$.refunds' AS path, format('%s is paid back of an order of %s',
  money_text(i.refunded_total, i.currency), money_text(i.total_net, i.currency)) AS reason
FROM import_orders i
WHERE i.has_refunds AND i.refunded_total > greatest(i.total_net, 0)
ORDER BY i.n

-- What moves an order's date is also what is paid back of it.
-- name: compare_refunds
UPDATE import_orders i SET is_changed = true
WHERE i.has_refunds AND NOT i.is_new AND (
  ARRAY(SELECT (f.external_id, trim_scale(f.amount), f.reason, f.created_at) FROM import_refunds f WHERE f.n = i.n AND NOT f.is_new
      ORDER BY f.external_id)
    IS DISTINCT FROM ARRAY(SELECT (r.external_id, trim_scale(r.amount), r.reason, r.created_at) FROM refunds r
      WHERE r.order_id = i.order_id AND r.channel_id = i.channel_id AND NOT ({stays}) ORDER BY r.external_id)
  OR EXISTS (SELECT FROM import_refunds f WHERE f.n = i.n AND f.is_new)
  OR ARRAY(SELECT (f.refund_id, m.line, m.quantity, trim_scale(m.amount))
      FROM import_refunds f JOIN import_refund_items m ON m.n = f.n AND m.refund = f.external_id
      WHERE f.n = i.n ORDER BY f.refund_id, m.line)
    IS DISTINCT FROM ARRAY(SELECT (r.id, l.line, m.quantity, trim_scale(m.amount))
      FROM refunds r
      JOIN refund_items m ON m.refund_id = r.id
      JOIN order_items l ON l.id = m.order_item_id AND l.channel_id = m.channel_id
      WHERE r.order_id = i.order_id AND r.channel_id = i.channel_id AND NOT ({stays}) ORDER BY r.id, l.line))

-- name: keep_line_values
UPDATE import_lines l SET
  product_id = CASE WHEN l.has_product_id THEN l.product_id ELSE s.product_id END,
  additional = CASE WHEN l.has_additional THEN l.additional ELSE s.additional END
FROM import_orders i
JOIN order_items s ON s.order_id = i.order_id AND s.channel_id = i.channel_id
WHERE i.n = l.n AND NOT i.is_new AND s.line = l.line AND NOT (l.has_product_id AND l.has_additional)

-- name: create_orders
INSERT INTO orders (
  id, channel_id, external_id, increment_id, status, type, company_id, customer_id, email, first_name, last_name,
  language, currency, currency_ratio, sub_total, discount_type, discount_value, discount_amount, coupon_code,
  postage_gross, postage_tax, postage_net, postage_tax_percentage, total_gross, total_net, total_tax, refunded_total,
  payment_method, payment_status, payment_status_date, shipping_method, shipping_title, reference, postage_request_date, created_at,
  last_modified_at, source_modified_at, source_status, source_payment_status
)
SELECT i.order_id, i.channel_id, i.external_id, i.external_id, i.status, i.type, i.company_id, i.customer_id,
  coalesce(i.email, ''), coalesce(i.first_name, ''), coalesce(i.last_name, ''),
  c.language, i.currency, i.currency_ratio, i.sub_total, i.discount_type, i.discount_value, i.discount_amount, i.coupon,
  i.postage, i.postage_tax, i.postage + i.postage_tax, i.postage_percentage, i.total_gross, i.total_net, i.total_tax,
  i.refunded_total, i.payment_method, i.payment_status,
  CASE WHEN i.payment_status IS NOT NULL THEN coalesce(i.source_modified_at, now()) END, i.shipping_method, i.shipping_method, i.reference, i.requested_at, i.created_at,
  statement_timestamp(), i.source_modified_at, i.source_status, i.source_payment_status
FROM import_orders i
JOIN channels c ON c.id = i.channel_id
WHERE i.is_new
ORDER BY i.n

-- Told what will be shipped of them, new lines need not be written again when it is.
-- name: create_lines
WITH changed AS (
  INSERT INTO order_items (
    order_id, channel_id, line, line_id, sku, name, quantity, product_id, tax_percentage,
    exact_tax_percentage, tax_code,
    original_price, discount, price, price_net, price_total, price_total_net, tax, additional, quantity_shipped,
    quantity_delivered, class, quantity_canceled, quantity_unit
  )
  SELECT i.order_id, i.channel_id, l.line, l.line_id, l.sku, l.name, l.quantity, l.product_id, l.tax_percentage,
    l.exact_tax_percentage, l.tax_code,
    l.original_price, l.discount, l.price, l.price_net, l.price_total, l.price_total_net, l.tax, l.additional,
    l.quantity_shipped, l.quantity_delivered, l.class, l.quantity_canceled, l.quantity_unit
  FROM import_orders i
  JOIN import_lines l USING (n)
  WHERE i.is_new OR NOT EXISTS (
    SELECT FROM order_items s WHERE s.order_id = i.order_id AND s.line = l.line AND s.channel_id = i.channel_id
  )
  ORDER BY n, l.line
  RETURNING order_id
)
UPDATE import_orders i SET is_changed = true FROM changed WHERE i.order_id = changed.order_id

-- fragment: update_lines
UPDATE order_items s SET
    line_id = coalesce(l.line_id, s.line_id), sku = l.sku, name = l.name, quantity = l.quantity, product_id = l.product_id, tax_percentage = l.tax_percentage,
    exact_tax_percentage = l.exact_tax_percentage, tax_code = l.tax_code, original_price = l.original_price, discount = l.discount, price = l.price,
    price_net = l.price_net, price_total = l.price_total, price_total_net = l.price_total_net, tax = l.tax,
    additional = l.additional, class = l.class, quantity_canceled = l.quantity_canceled, quantity_unit = l.quantity_unit
  FROM import_orders i
  JOIN import_lines l USING (n)
  WHERE NOT i.is_new AND s.order_id = i.order_id AND s.line = l.line AND s.channel_id = i.channel_id
    AND (s.line_id, s.sku, s.name, s.quantity, s.product_id, s.tax_percentage, s.tax_code, s.original_price, s.discount, s.price,
        s.price_net, s.price_total, s.price_total_net, s.tax, s.additional, s.exact_tax_percentage, s.class, s.quantity_canceled,
        s.quantity_unit)
      IS DISTINCT FROM
      (coalesce(l.line_id, s.line_id), l.sku, l.name, l.quantity, l.product_id, l.tax_percentage, l.tax_code, l.original_price, l.discount, l.price,
        l.price_net, l.price_total, l.price_total_net, l.tax, l.additional, l.exact_tax_percentage, l.class, l.quantity_canceled,
        l.quantity_unit)

-- A line is raised before anything is shipped from it, and lowered once nothing more is: the store never holds, not for
-- one statement, a line that is shipped beyond its quantity.
-- name: raise_lines
WITH changed AS (
  {update_lines}
    AND open_quantity(l.quantity, l.quantity_canceled) >= open_quantity(s.quantity, s.quantity_canceled)
  RETURNING s.order_id
)
UPDATE import_orders i SET is_changed = true FROM changed WHERE i.order_id = changed.order_id

-- Lines are put under their parents when all of them are there.
-- name: set_parents
WITH changed AS (
  UPDATE order_items s SET parent_order_item_id = p.id
  FROM import_orders i
  JOIN import_lines l USING (n)
  LEFT JOIN order_items p ON p.order_id = i.order_id AND p.channel_id = i.channel_id AND p.line = l.parent_line
  WHERE s.order_id = i.order_id AND s.line = l.line AND s.channel_id = i.channel_id
    AND s.parent_order_item_id IS DISTINCT FROM p.id
  RETURNING s.order_id
)
UPDATE import_orders i SET is_changed = true FROM changed WHERE i.order_id = changed.order_id

-- fragment: address
type, company, first_name, last_name, street, number, postal_code, city, region, country, phone

-- Addresses have no key of their own: an order's are exchanged together when one differs.
-- name: delete_addresses
WITH other AS (
  SELECT i.n, i.order_id, i.channel_id FROM import_orders i
  WHERE i.has_addresses AND NOT i.is_new
    AND ARRAY(SELECT ROW({address})::text FROM import_addresses a WHERE a.n = i.n ORDER BY a.position)
      IS DISTINCT FROM ARRAY(
        SELECT ROW({address})::text FROM order_addresses a
        WHERE a.order_id = i.order_id AND a.channel_id = i.channel_id AND a.type IN ('delivery', 'invoice') ORDER BY a.id)
), gone AS (
  DELETE FROM order_addresses a USING other o
  WHERE a.order_id = o.order_id AND a.channel_id = o.channel_id AND a.type IN ('delivery', 'invoice')
)
UPDATE import_orders i SET is_changed = true, readdressed = true FROM other WHERE i.n = other.n

-- name: create_addresses
INSERT INTO order_addresses (order_id, channel_id, {address}, created_at, last_modified_at)
SELECT i.order_id, i.channel_id, {staged_address}, CASE WHEN i.is_new THEN i.created_at ELSE now() END, now()
FROM import_orders i
JOIN import_addresses a USING (n)
WHERE i.is_new OR i.readdressed
ORDER BY n, a.position

-- fragment: staged_address
a.type, a.company, a.first_name, a.last_name, a.street, a.number, a.postal_code, a.city, a.region, a.country, a.phone

-- What a record says of a new shipment, older news does not take back, but for that which the record tells itself. What is
-- over is over, whenever that was said.
-- name: create_shipments
INSERT INTO shipments (
  id, order_id, channel_id, external_id, status, source_status, status_set_at, sub_status, sub_status_set_at,
  expected_delivery_at, created_at)
SELECT g.shipment_id, i.order_id, i.channel_id, g.external_id, coalesce(g.status, 'CREATED'), g.source_status,
  CASE WHEN g.status NOT IN ('DELIVERED', 'CANCELED') AND NOT EXISTS (
    SELECT FROM import_events e WHERE e.n = g.n AND e.shipment = g.external_id) THEN i.source_modified_at END, g.sub_status,
  CASE WHEN g.sub_status IS NOT NULL THEN i.source_modified_at END, g.expected_delivery_at, coalesce(g.created_at, now())
FROM import_shipments g
JOIN import_orders i USING (n)
WHERE g.is_new
ORDER BY n, g.external_id

-- What moves a shipment's date is its own row, its items and its codes (B-57). They are compared before they are
-- written, so that the shipment is written once, and first: what a canceled one held may then be shipped again.
-- name: compare_shipments
UPDATE import_shipments g SET is_changed = true
FROM import_orders i
WHERE i.n = g.n AND NOT g.is_new AND (
  g.has_items AND ARRAY(
      SELECT (m.line, m.quantity) FROM import_shipment_items m
      WHERE m.n = g.n AND m.shipment = g.external_id ORDER BY m.line)
    IS DISTINCT FROM ARRAY(
      SELECT (l.line, s.quantity) FROM shipment_items s
      JOIN order_items l ON l.id = s.order_item_id AND l.channel_id = s.channel_id
      WHERE s.shipment_id = g.shipment_id AND s.channel_id = i.channel_id ORDER BY l.line, s.number)
  OR g.has_codes AND (
    EXISTS (
      SELECT FROM import_codes k
      LEFT JOIN track_and_traces t ON t.id = k.code_id AND t.channel_id = i.channel_id
      WHERE k.n = g.n AND k.shipment = g.external_id AND t.shipment_id IS DISTINCT FROM g.shipment_id)
    OR EXISTS (
      SELECT FROM track_and_traces t
      LEFT JOIN import_codes k ON k.n = g.n AND k.shipment = g.external_id AND k.code_id = t.id
      WHERE t.shipment_id = g.shipment_id AND t.channel_id = i.channel_id
        AND (k.code_id IS NULL OR normalized_code(t.code) <> k.key
          OR (k.carrier_id, k.expected_delivery_at) IS DISTINCT FROM (t.carrier_id, t.expected_delivery_at)))))

-- A record without a status leaves the shipment's as it is. One that changes it holds as of its own moment: older news of
-- carriers does not take it back.
-- name: update_shipments
WITH changed AS (
  UPDATE shipments s
  SET status = coalesce(g.status, s.status), source_status = coalesce(g.source_status, s.source_status),
    sub_status = g.sub_status, sub_status_set_at = g.sub_status_set_at,
    expected_delivery_at = g.expected_delivery_at,
    external_id = CASE WHEN s.is_made_here THEN coalesce(s.external_id, g.external_id) ELSE g.external_id END,
    is_made_here = s.is_made_here OR s.external_id IS NULL,
    created_at = coalesce(g.created_at, s.created_at), last_modified_at = statement_timestamp(),
    status_set_at = CASE WHEN s.status IS NOT DISTINCT FROM coalesce(g.status, s.status) THEN s.status_set_at
      ELSE coalesce(i.source_modified_at, now()) END
  FROM import_shipments g
  JOIN import_orders i USING (n)
  WHERE NOT g.is_new AND s.id = g.shipment_id AND s.channel_id = i.channel_id
    AND (g.is_changed OR s.external_id IS NULL OR NOT s.is_made_here AND s.external_id <> g.external_id
      OR s.source_status <> g.source_status OR (s.status, s.sub_status, s.expected_delivery_at, s.created_at) IS DISTINCT FROM
        (coalesce(g.status, s.status), g.sub_status, g.expected_delivery_at, coalesce(g.created_at, s.created_at)))
  RETURNING s.id
)
UPDATE import_shipments g SET is_changed = true FROM changed WHERE g.shipment_id = changed.id

-- As moving a code by hand does it: its news goes along, and both shipments follow.
-- name: move_codes
UPDATE track_and_traces t SET shipment_id = g.shipment_id, last_modified_at = statement_timestamp()
FROM import_codes k
JOIN import_shipments g ON g.n = k.n AND g.external_id = k.shipment
JOIN import_orders i ON i.n = k.n
WHERE t.id = k.code_id AND t.channel_id = i.channel_id AND t.shipment_id <> g.shipment_id

-- A shipment that was made here is not the record's to take away.
-- name: delete_shipments
WITH gone AS (
  DELETE FROM shipments h USING import_orders i
  WHERE i.has_shipments AND NOT i.is_new AND h.order_id = i.order_id AND h.channel_id = i.channel_id
    AND h.external_id IS NOT NULL AND NOT h.is_made_here
    AND NOT EXISTS (SELECT FROM import_shipments g WHERE g.n = i.n AND g.shipment_id = h.id)
  RETURNING h.order_id
)
UPDATE import_orders i SET is_changed = true FROM gone WHERE i.order_id = gone.order_id

-- An item that stands for a line twice cannot be the record's; the first of them stays.
-- name: delete_shipment_items
DELETE FROM shipment_items s
USING import_shipments g, order_items l
WHERE g.has_items AND NOT g.is_new AND s.shipment_id = g.shipment_id
  AND l.id = s.order_item_id AND l.order_id = s.order_id AND l.channel_id = s.channel_id
  AND (NOT EXISTS (
      SELECT FROM import_shipment_items m WHERE m.n = g.n AND m.shipment = g.external_id AND m.line = l.line)
    OR EXISTS (
      SELECT FROM shipment_items t
      WHERE t.shipment_id = s.shipment_id AND t.order_item_id = s.order_item_id AND t.number < s.number))

-- fragment: shipped
import_shipment_items m
  JOIN import_shipments g ON g.n = m.n AND g.external_id = m.shipment
  JOIN import_orders i ON i.n = m.n
  JOIN import_lines t ON t.n = m.n AND t.line = m.line
  JOIN order_items l ON l.order_id = i.order_id AND l.line = m.line AND l.channel_id = i.channel_id

-- name: update_shipment_items
UPDATE shipment_items s SET quantity = m.quantity, last_modified_at = statement_timestamp()
FROM {shipped}
WHERE NOT g.is_new AND s.shipment_id = g.shipment_id AND s.order_item_id = l.id AND s.channel_id = i.channel_id
  AND s.quantity IS DISTINCT FROM m.quantity

-- Name and number of the goods are the line's at the time of shipping (B-51) and may differ from it later (B-34).
-- name: create_shipment_items
INSERT INTO shipment_items (shipment_id, order_item_id, order_id, channel_id, name, sku, quantity, created_at)
SELECT g.shipment_id, l.id, i.order_id, i.channel_id, t.name, t.sku, m.quantity,
  CASE WHEN g.is_new THEN coalesce(g.created_at, now()) ELSE now() END
FROM {shipped}
WHERE g.is_new OR NOT EXISTS (
  SELECT FROM shipment_items s WHERE s.shipment_id = g.shipment_id AND s.order_item_id = l.id
)
ORDER BY m.n, m.shipment, m.line

-- name: delete_lines
WITH gone AS (
  DELETE FROM order_items l USING import_orders i
  WHERE NOT i.is_new AND l.order_id = i.order_id AND l.channel_id = i.channel_id AND l.line IS NOT NULL
    AND NOT EXISTS (SELECT FROM import_lines g WHERE g.n = i.n AND g.line = l.line)
  RETURNING l.order_id
)
UPDATE import_orders i SET is_changed = true FROM gone WHERE i.order_id = gone.order_id

-- name: lower_lines
WITH changed AS (
  {update_lines}
    AND open_quantity(l.quantity, l.quantity_canceled) < open_quantity(s.quantity, s.quantity_canceled)
  RETURNING s.order_id
)
UPDATE import_orders i SET is_changed = true FROM changed WHERE i.order_id = changed.order_id

-- name: delete_codes
DELETE FROM track_and_traces t USING import_shipments g
WHERE g.has_codes AND NOT g.is_new AND t.shipment_id = g.shipment_id
  AND NOT EXISTS (SELECT FROM import_codes k WHERE k.n = g.n AND k.code_id = t.id)

-- A code that is under way is one consignee's; of two records in a batch that claim it, the first has it (decision 25).
-- name: refuse_taken_codes
SELECT DISTINCT ON (c.n) c.n, c.path, format('%s is a code of another shipment', to_json(c.code)) AS reason
FROM (
  SELECT k.*, i.channel_id, i.order_id, g.shipment_id,
    first_value(i.order_id) OVER (PARTITION BY k.key, k.carrier_id, i.channel_id ORDER BY k.n) AS first_order_id
  FROM import_codes k
  JOIN import_orders i USING (n)
  JOIN import_shipments g ON g.n = k.n AND g.external_id = k.shipment
  WHERE k.carrier_id IS NOT NULL AND (coalesce(g.status, g.stored_status) = 'CANCELED'
    OR coalesce(g.status, g.stored_status) = 'DELIVERED' AND g.created_at < now() - interval '90 days') IS NOT TRUE
) c
LEFT JOIN track_and_traces t ON t.id = c.code_id AND t.channel_id = c.channel_id
WHERE (t.carrier_id IS DISTINCT FROM c.carrier_id OR normalized_code(t.code) <> c.key) AND CASE
  WHEN c.first_order_id <> c.order_id AND NOT are_of_one_consignee(c.first_order_id, c.order_id, c.channel_id) THEN true
  WHEN EXISTS (
    SELECT FROM track_and_traces o
    WHERE normalized_code(o.code) = c.key AND o.carrier_id = c.carrier_id AND o.channel_id = c.channel_id
      AND o.id IS DISTINCT FROM c.code_id)
  THEN is_code_taken(c.code, c.carrier_id, c.channel_id, c.order_id, c.shipment_id, c.code_id)
  END
ORDER BY c.n, c.path

-- name: update_codes
UPDATE track_and_traces t SET code = CASE WHEN normalized_code(t.code) = k.key THEN t.code ELSE k.code END,
  carrier_id = k.carrier_id, expected_delivery_at = k.expected_delivery_at, last_modified_at = statement_timestamp()
FROM import_codes k
JOIN import_orders i USING (n)
WHERE t.id = k.code_id AND t.channel_id = i.channel_id AND (normalized_code(t.code) <> k.key
  OR (t.carrier_id, t.expected_delivery_at) IS DISTINCT FROM (k.carrier_id, k.expected_delivery_at))

-- Codes of one shipment come in the order of their creation, so each is given a moment of its own.
-- name: create_codes
INSERT INTO track_and_traces (shipment_id, order_id, channel_id, carrier_id, code, expected_delivery_at, created_at)
SELECT g.shipment_id, i.order_id, i.channel_id, k.carrier_id, k.code, k.expected_delivery_at,
  CASE WHEN g.is_new THEN coalesce(g.created_at, now()) ELSE now() END + k.position * interval '1 microsecond'
FROM import_codes k
JOIN import_shipments g ON g.n = k.n AND g.external_id = k.shipment
JOIN import_orders i ON i.n = k.n
WHERE k.code_id IS NULL

-- Sources are only added: they are what several systems know the shipment by. A shipment that has a key already is known
-- by that of the record as well.
-- name: create_sources
WITH created AS (
  INSERT INTO shipment_sources (shipment_id, order_id, channel_id, id, name)
  SELECT s.id, s.order_id, s.channel_id, k.id, k.name
  FROM (
    SELECT g.n, g.shipment_id, m.id, m.name
    FROM import_sources m
    JOIN import_shipments g ON g.n = m.n AND g.external_id = m.shipment
    UNION
    SELECT m.n, m.shipment_id, m.shipment, 'import' FROM import_matches m WHERE m.is_made_here
  ) k
  JOIN import_orders i ON i.n = k.n
  JOIN shipments s ON s.id = k.shipment_id AND s.channel_id = i.channel_id
  WHERE s.external_id IS DISTINCT FROM k.id OR k.name <> 'import'
  ON CONFLICT DO NOTHING
  RETURNING order_id, channel_id
)
UPDATE import_orders i SET is_changed = true
FROM created
WHERE i.order_id = created.order_id AND i.channel_id = created.channel_id

-- name: find_packed_codes
UPDATE import_packed_codes p SET track_and_trace_id = t.id
FROM import_codes k
JOIN import_shipments g ON g.n = k.n AND g.external_id = k.shipment
JOIN import_orders i ON i.n = k.n
JOIN track_and_traces t ON t.shipment_id = g.shipment_id AND t.channel_id = i.channel_id
  AND normalized_code(t.code) = normalized_code(k.code) AND t.carrier_id IS NOT DISTINCT FROM k.carrier_id
WHERE p.n = k.n AND p.shipment = k.shipment AND p.code_position = k.position

-- The items of the store that a record's parcels are said to hold.
-- fragment: packed
import_parcel_items m
  JOIN import_packed_codes p ON p.n = m.n AND p.shipment = m.shipment AND p.code_position = m.code_position
  JOIN import_shipments g ON g.n = m.n AND g.external_id = m.shipment
  JOIN import_orders i ON i.n = m.n
  LEFT JOIN LATERAL (
    SELECT s.id, s.quantity FROM shipment_items s
    JOIN order_items l ON l.id = s.order_item_id AND l.channel_id = s.channel_id
    WHERE s.shipment_id = g.shipment_id AND s.channel_id = i.channel_id AND l.line = m.line
    ORDER BY s.number
    LIMIT 1
  ) s ON true

-- name: refuse_parcel_items
SELECT DISTINCT ON (m.n) m.n, m.path || CASE WHEN m.id IS NULL THEN '.line' ELSE '.quantity' END AS path,
  CASE WHEN m.id IS NULL THEN format('%s is no line of the shipment', m.line)
    ELSE format('more of line %s is in parcels than in the shipment', m.line) END AS reason
FROM (
  SELECT m.n, m.path, m.line, s.id, s.quantity, sum(m.quantity) OVER (PARTITION BY m.n, m.shipment, m.line) + coalesce((
      SELECT sum(o.quantity) FROM parcel_items o
      WHERE o.shipment_item_id = s.id AND o.channel_id = i.channel_id AND NOT EXISTS (
        SELECT FROM import_packed_codes q WHERE q.track_and_trace_id = o.track_and_trace_id)), 0) AS packed
  FROM {packed}
) m
WHERE m.id IS NULL OR m.packed > m.quantity
ORDER BY m.n, m.path

-- What is gone, or less or more, goes first, so that no parcel takes what another one still holds.
-- name: delete_parcel_items
WITH gone AS (
  DELETE FROM parcel_items o USING import_packed_codes p
  WHERE o.track_and_trace_id = p.track_and_trace_id AND NOT EXISTS (
    SELECT FROM {wanted} WHERE w.track_and_trace_id = o.track_and_trace_id AND w.shipment_item_id = o.shipment_item_id
      AND w.quantity = o.quantity)
  RETURNING p.n, p.shipment
)
UPDATE import_shipments g SET is_changed = true FROM gone WHERE gone.n = g.n AND gone.shipment = g.external_id

-- fragment: wanted
(SELECT m.n, m.shipment, p.track_and_trace_id, s.id AS shipment_item_id, i.order_id, i.channel_id, m.quantity
    FROM {packed}) w

-- name: create_parcel_items
WITH made AS (
  INSERT INTO parcel_items (track_and_trace_id, shipment_item_id, order_id, channel_id, quantity)
  SELECT w.track_and_trace_id, w.shipment_item_id, w.order_id, w.channel_id, w.quantity
  FROM {wanted}
  ON CONFLICT DO NOTHING
  RETURNING track_and_trace_id
)
UPDATE import_shipments g SET is_changed = true
FROM made
JOIN import_packed_codes p USING (track_and_trace_id)
WHERE p.n = g.n AND p.shipment = g.external_id

-- What moves an order's date is its own row, its lines and its addresses (B-57); the date is ours, whatever the source
-- says of its own (decision 19).
-- name: update_orders
WITH changed AS (
  UPDATE orders o SET
    status = i.status, status_date = CASE WHEN o.status = i.status THEN o.status_date ELSE now() END,
    type = i.type, company_id = i.company_id, customer_id = i.customer_id,
    contact_id = CASE WHEN i.customer_id IS NULL THEN o.contact_id END,
    email = coalesce(i.email, ''), first_name = coalesce(i.first_name, ''), last_name = coalesce(i.last_name, ''),
    currency = i.currency, currency_ratio = i.currency_ratio, sub_total = i.sub_total,
    discount_type = i.discount_type, discount_value = i.discount_value, discount_amount = i.discount_amount,
    coupon_code = i.coupon, postage_gross = i.postage, postage_net = i.postage + i.postage_tax,
    postage_tax = i.postage_tax, postage_tax_percentage = i.postage_percentage,
    total_gross = i.total_gross, total_net = i.total_net, total_tax = i.total_tax, refunded_total = i.refunded_total,
    payment_method = i.payment_method, payment_status = i.payment_status,
    payment_status_date = CASE WHEN o.payment_status IS NOT DISTINCT FROM i.payment_status THEN o.payment_status_date
      ELSE coalesce(i.source_modified_at, now()) END,
    shipping_method = i.shipping_method, shipping_title = i.shipping_method, reference = i.reference, postage_request_date = i.requested_at,
    created_at = i.created_at,
    last_modified_at = statement_timestamp(),
    source_modified_at = coalesce(i.source_modified_at, o.source_modified_at), source_status = i.source_status,
    source_payment_status = coalesce(i.source_payment_status, o.source_payment_status)
  FROM import_orders i
  WHERE o.id = i.order_id AND o.channel_id = i.channel_id AND NOT i.is_new
    AND (i.is_changed OR o.source_modified_at IS DISTINCT FROM coalesce(i.source_modified_at, o.source_modified_at)
      OR coalesce(o.source_status, o.status) <> i.source_status
      OR coalesce(o.source_payment_status, o.payment_status, '') <> i.source_payment_status
      OR (o.status, o.type, o.company_id, o.customer_id, o.email, o.first_name, o.last_name, o.currency,
        o.currency_ratio, o.sub_total, o.discount_type, o.discount_value, o.discount_amount, o.coupon_code,
        o.postage_gross, o.postage_tax, o.postage_tax_percentage, o.total_gross, o.total_net, o.total_tax,
        o.refunded_total, o.payment_method, o.payment_status, o.shipping_method, o.reference, o.postage_request_date, o.created_at)
      IS DISTINCT FROM
      (i.status, i.type, i.company_id, i.customer_id, coalesce(i.email, ''), coalesce(i.first_name, ''),
        coalesce(i.last_name, ''), i.currency,
        i.currency_ratio, i.sub_total, i.discount_type, i.discount_value, i.discount_amount, i.coupon,
        i.postage, i.postage_tax, i.postage_percentage, i.total_gross, i.total_net, i.total_tax,
        i.refunded_total, i.payment_method, i.payment_status, i.shipping_method, i.reference, i.requested_at, i.created_at))
  RETURNING o.id
)
UPDATE import_orders i SET is_changed = true FROM changed WHERE i.order_id = changed.id

-- One statement, at whose end the order's sum of them is that which it has by then.
-- name: write_refunds
WITH gone AS (
  DELETE FROM refunds r USING import_orders i
  WHERE i.has_refunds AND r.order_id = i.order_id AND r.channel_id = i.channel_id AND NOT ({stays}) AND NOT {is_listed}
), changed AS (
  UPDATE refunds r SET amount = f.amount, reason = f.reason, created_at = f.created_at,
    last_modified_at = statement_timestamp()
  FROM import_refunds f
  JOIN import_orders i USING (n)
  WHERE r.id = f.refund_id AND r.channel_id = i.channel_id
    AND (r.amount, r.reason, r.created_at) IS DISTINCT FROM (f.amount, f.reason, f.created_at)
)
INSERT INTO refunds (id, order_id, channel_id, external_id, amount, reason, created_at)
SELECT f.refund_id, i.order_id, i.channel_id, f.external_id, f.amount, f.reason, coalesce(f.created_at, now())
FROM import_refunds f
JOIN import_orders i USING (n)
WHERE f.is_new
ORDER BY n, f.external_id

-- fragment: refunded
import_refund_items m
  JOIN import_refunds f ON f.n = m.n AND f.external_id = m.refund
  JOIN import_orders i ON i.n = m.n
  JOIN order_items l ON l.order_id = i.order_id AND l.line = m.line AND l.channel_id = i.channel_id

-- name: delete_refund_items
DELETE FROM refund_items r
USING import_refunds f, order_items l
WHERE NOT f.is_new AND r.refund_id = f.refund_id AND l.id = r.order_item_id AND l.channel_id = r.channel_id
  AND NOT EXISTS (
    SELECT FROM import_refund_items m WHERE m.n = f.n AND m.refund = f.external_id AND m.line = l.line)

-- name: update_refund_items
UPDATE refund_items r SET quantity = m.quantity, amount = m.amount
FROM {refunded}
WHERE r.refund_id = f.refund_id AND r.order_item_id = l.id AND r.channel_id = i.channel_id
  AND (r.quantity, r.amount) IS DISTINCT FROM (m.quantity, m.amount)

-- name: create_refund_items
INSERT INTO refund_items (refund_id, order_item_id, order_id, channel_id, quantity, amount)
SELECT f.refund_id, l.id, i.order_id, i.channel_id, m.quantity, m.amount
FROM {refunded}
WHERE NOT EXISTS (SELECT FROM refund_items r WHERE r.refund_id = f.refund_id AND r.order_item_id = l.id)
ORDER BY m.n, m.refund, m.line

-- name: outcome
SELECT count(*) FILTER (WHERE i.is_new) AS created,
  count(*) FILTER (WHERE NOT i.is_new AND (
    i.is_changed OR i.moves_company OR i.moves_customer OR EXISTS (
      SELECT FROM import_shipments g WHERE g.n = i.n AND (g.is_new OR g.is_changed)))) AS updated
FROM import_orders i

-- News. That of an order's code is of the code that the record made or found.
-- name: find_codes_of_orders
UPDATE import_events e SET track_and_trace_id = t.id, channel_id = t.channel_id, carrier_id = t.carrier_id
FROM import_codes k
JOIN import_shipments g ON g.n = k.n AND g.external_id = k.shipment
JOIN import_orders i ON i.n = k.n
JOIN track_and_traces t ON t.shipment_id = g.shipment_id AND t.channel_id = i.channel_id
  AND normalized_code(t.code) = normalized_code(k.code) AND t.carrier_id IS NOT DISTINCT FROM k.carrier_id
WHERE e.n = k.n AND e.shipment = k.shipment AND e.code_position = k.position

-- fragment: names_carrier
(c.key = lower(e.carrier COLLATE "C") OR c.name = e.carrier OR c.source_name = e.carrier OR c.key = slug(e.carrier))

-- News of its own finds its code as a report does (B-60): that of its carrier, else one without a carrier, and of these
-- rather those whose parcel is under way than those that have freed the code, of which a channel has one. What happened in
-- the time of a former parcel is of that one, unless the record names a shipment. That of an outdated order's code is of the
-- code of its shipment, or else of its order, before it is of any.
-- fragment: fitting
(
    SELECT e.id AS event_id, t.id, t.channel_id, t.shipment_id, t.carrier_id,
      rank() OVER (PARTITION BY e.id ORDER BY w.is_elsewhere, (t.carrier_id IS NULL) <> (e.carrier IS NULL), u.is_free) AS fit,
      CASE WHEN u.is_free THEN row_number() OVER (
        PARTITION BY e.id, t.channel_id
        ORDER BY w.is_elsewhere, (t.carrier_id IS NULL) <> (e.carrier IS NULL), u.is_free, is_code_canceled(t),
          t.created_at DESC, t.id DESC)
        ELSE 1 END AS use
    FROM import_events e
    JOIN track_and_traces t ON normalized_code(t.code) = normalized_code(e.code)
    CROSS JOIN LATERAL (SELECT is_code_free(t) AS is_free) u
    LEFT JOIN carriers c ON c.id = t.carrier_id
    JOIN channels h ON h.id = t.channel_id
    CROSS JOIN LATERAL (
      SELECT CASE WHEN e.of_order IS NULL THEN 0 ELSE (
        SELECT CASE WHEN o.external_id IS DISTINCT FROM e.of_order THEN 2
          WHEN s.external_id IS DISTINCT FROM e.of_shipment THEN 1 ELSE 0 END
        FROM orders o, shipments s
        WHERE o.id = t.order_id AND o.channel_id = t.channel_id AND s.id = t.shipment_id AND s.channel_id = t.channel_id
      ) END AS is_elsewhere
    ) w
    WHERE e.shipment IS NULL AND (e.channel IS NULL OR h.code = e.channel)
      AND (e.shipment_id = t.shipment_id OR e.shipment_id IS NULL AND NOT is_of_former_parcel(t,
        coalesce(e.occurred_at, told_at(e.occurred_local, t.carrier_id, t.channel_id))))
      AND (e.carrier IS NULL OR t.carrier_id IS NULL OR {names_carrier})
  ) f

-- name: find_codes_of_events
UPDATE import_events e SET candidates = f.shipments
FROM (
  SELECT f.event_id, count(DISTINCT (f.shipment_id, f.channel_id)) AS shipments
  FROM {fitting}
  WHERE f.fit = 1 AND f.use = 1
  GROUP BY f.event_id
) f
WHERE e.id = f.event_id

-- name: refuse_ambiguous_events
SELECT DISTINCT ON (e.n) e.n, CASE WHEN e.of_order IS NULL THEN '$.code' ELSE e.path END AS path,
  format('%s is a code of several shipments: name its carrier, channel or shipmentId', to_json(e.code)) AS reason
FROM import_events e
WHERE e.candidates > 1
ORDER BY e.n, e.path

-- name: choose_codes_of_events
UPDATE import_events e SET track_and_trace_id = f.id, channel_id = f.channel_id, carrier_id = f.carrier_id
FROM (
  SELECT DISTINCT ON (f.event_id) f.* FROM {fitting} WHERE f.fit = 1 AND f.use = 1 ORDER BY f.event_id, f.id
) f
WHERE e.id = f.event_id

-- name: refuse_codes_of_other_shipments
SELECT e.n, '$.code' AS path, format('%s is no code of the shipment', to_json(e.code)) AS reason
FROM import_events e
WHERE e.shipment_id IS NOT NULL AND e.track_and_trace_id IS NULL

-- name: date_events
UPDATE import_events e SET
  occurred_at = coalesce(e.occurred_at, told_at(e.occurred_local, e.carrier_id, e.channel_id)),
  expected_delivery_at = coalesce(e.expected_delivery_at, promised_at(e.expected_local, e.carrier_id, e.channel_id))
WHERE e.track_and_trace_id IS NOT NULL AND (e.occurred_at IS NULL OR e.expected_local IS NOT NULL)

-- One without an offset, whose code is not known, may be of any zone.
-- name: refuse_future_events
SELECT DISTINCT ON (e.n) e.n, e.path || '.occurredAt' AS path, 'lies more than five minutes in the future' AS reason
FROM import_events e
WHERE coalesce(e.occurred_at, (e.occurred_local AT TIME ZONE 'UTC') - interval '14 hours') > now() + interval '5 minutes'
ORDER BY e.n, e.position

-- Told twice is what has the same key, or says the same without one.
-- name: record_events
WITH told AS (
  SELECT DISTINCT ON (
      e.track_and_trace_id, e.external_id, CASE WHEN e.external_id IS NULL THEN
        ROW(e.status, e.sub_status, e.occurred_at, e.location, e.description)::text END) e.*
  FROM import_events e
  WHERE e.track_and_trace_id IS NOT NULL AND NOT EXISTS (
    SELECT FROM tracking_events k
    WHERE k.track_and_trace_id = e.track_and_trace_id AND k.channel_id = e.channel_id AND (
      k.external_id = e.external_id OR e.external_id IS NULL AND k.occurred_at = e.occurred_at
        AND (k.status, k.sub_status, k.location, k.description)
          IS NOT DISTINCT FROM (e.status, e.sub_status, e.location, e.description)))
  ORDER BY e.track_and_trace_id, e.external_id, CASE WHEN e.external_id IS NULL THEN
    ROW(e.status, e.sub_status, e.occurred_at, e.location, e.description)::text END, e.n, e.position
), made AS (
  INSERT INTO tracking_events (
    id, track_and_trace_id, channel_id, external_id, status, sub_status, occurred_at, expected_delivery_at, location,
    description)
  SELECT e.id, e.track_and_trace_id, e.channel_id, e.external_id, e.status, e.sub_status, e.occurred_at,
    e.expected_delivery_at, e.location, e.description
  FROM told e
  ORDER BY e.n, e.position
  ON CONFLICT ON CONSTRAINT tracking_events_external_id_unique DO NOTHING
  RETURNING id
), noted AS (
  UPDATE import_events e SET is_new = true FROM made WHERE made.id = e.id
)
UPDATE import_shipments g SET is_changed = true
FROM import_events e
WHERE e.id IN (SELECT id FROM made) AND e.n = g.n AND e.shipment = g.external_id

-- name: keep_events_waiting
WITH told AS (
  SELECT DISTINCT ON (normalized_code(e.code), e.carrier, e.channel, e.external_id, CASE WHEN e.external_id IS NULL THEN
      ROW(e.status, e.sub_status, e.occurred_at, e.occurred_local, e.location, e.description)::text END)
    e.*, c.id AS of_carrier, h.id AS of_channel
  FROM import_events e
  LEFT JOIN channels h ON h.code = e.channel
  LEFT JOIN LATERAL (
    SELECT c.id FROM carriers c
    WHERE {names_carrier} AND (c.channel_id IS NULL OR h.id IS NULL OR c.channel_id = h.id)
    ORDER BY c.channel_id NULLS LAST, c.id
    LIMIT 1
  ) c ON true
  WHERE e.track_and_trace_id IS NULL
  ORDER BY normalized_code(e.code), e.carrier, e.channel, e.external_id, CASE WHEN e.external_id IS NULL THEN
    ROW(e.status, e.sub_status, e.occurred_at, e.occurred_local, e.location, e.description)::text END, e.n
), made AS (
  INSERT INTO waiting_reports (
    id, code, carrier_id, carrier, channel_ids, external_id, status, sub_status, occurred_at, occurred_local,
    expected_delivery_at, expected_local, location, description)
  SELECT e.id, e.code, e.of_carrier, e.carrier, CASE WHEN e.of_channel IS NOT NULL THEN ARRAY[e.of_channel] END, e.external_id,
    e.status, e.sub_status, e.occurred_at, e.occurred_local, e.expected_delivery_at, e.expected_local, e.location,
    e.description
  FROM told e
  WHERE NOT EXISTS (
    SELECT FROM waiting_reports w
    WHERE normalized_code(w.code) = normalized_code(e.code) AND w.told_by = 'import' AND w.external_id IS NULL
      AND e.external_id IS NULL
      AND (e.of_carrier IS NOT NULL OR w.carrier IS NOT DISTINCT FROM e.carrier)
      AND (w.carrier_id, w.status, w.sub_status, w.occurred_at, w.occurred_local, w.location, w.description)
        IS NOT DISTINCT FROM
        (e.of_carrier, e.status, e.sub_status, e.occurred_at, e.occurred_local, e.location, e.description))
  ORDER BY e.n
  ON CONFLICT (told_by, normalized_code(code), carrier_id, external_id) WHERE external_id IS NOT NULL DO NOTHING
  RETURNING id
)
UPDATE import_events e SET is_new = true FROM made WHERE made.id = e.id

-- One that has yet to come, or a slip.
-- name: warn_carriers
SELECT e.n, '$.carrier' AS path, format('no carrier is called %s: the news waits for one', to_json(e.carrier)) AS reason
FROM import_events e
WHERE e.track_and_trace_id IS NULL AND e.carrier IS NOT NULL AND NOT EXISTS (SELECT FROM carriers c WHERE {names_carrier})
ORDER BY e.n

-- Of the records that are news.
-- name: outcome_of_events
SELECT count(*) FILTER (WHERE e.is_new) AS created, count(*) FILTER (WHERE NOT e.is_new) AS unchanged
FROM import_events e
WHERE e.shipment IS NULL AND e.of_order IS NULL
