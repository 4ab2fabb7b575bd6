-- The data set of the benchmark, for psql with `-v orders=N`: one year of orders, deterministic (hashes, no random()).
--
-- N orders, 3 N lines, 1.5 N shipments with 3 N items and 1.9 N codes, 8 carriers, 2 channels, N / 20 customers. Some
-- 1.2 % of the shipments are on their way: what the portal's first page lists. N / 250 companies have a contact each. Values of ids, statuses, dates and texts
-- come from the same formulas as those of the peers' tables, so that all servers can be asked the same questions.
--
-- Expects an empty, migrated database. Whatever indexes, foreign keys and triggers the migrations made are kept: they are
-- taken off first and put back at the end, which is many times faster than keeping them up by row.

\set ON_ERROR_STOP on
SET timezone = 'UTC';
SET synchronous_commit = off;
SET maintenance_work_mem = '512MB';
SET work_mem = '256MB';
SET client_min_messages = warning;

CREATE TABLE bench_structure AS
SELECT 2 AS step, format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname) AS take_off,
       format('ALTER TABLE %s ADD CONSTRAINT %I %s', conrelid::regclass, conname, pg_get_constraintdef(oid)) AS put_back
FROM pg_constraint
WHERE contype = 'f' AND connamespace = 'public'::regnamespace
UNION ALL
SELECT 1, format('DROP INDEX %s', i.indexrelid::regclass), pg_get_indexdef(i.indexrelid)
FROM pg_index i
JOIN pg_class c ON c.oid = i.indexrelid
WHERE c.relnamespace = 'public'::regnamespace
  AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid AND k.contype <> 'f');

SELECT take_off FROM bench_structure ORDER BY step DESC \gexec

-- The formulas give right values, but ship more of some lines than was ordered. What is counted by row otherwise is counted
-- of all at once below; the feed of changes begins after this.
CREATE TEMP TABLE rules AS
SELECT tgrelid::regclass AS relation, tgname AS name
FROM pg_trigger
WHERE NOT tgisinternal AND tgrelid::regclass::text LIKE ANY ('{orders,order_%,shipment%,track_and_traces}')
  AND tgname NOT LIKE '%\_tally\_%' AND tgname NOT LIKE '%\_take\_company';
SELECT format('ALTER TABLE %s DISABLE TRIGGER %I', relation, name) FROM rules \gexec

CREATE FUNCTION pg_temp.h(i bigint, salt int, m int) RETURNS int LANGUAGE sql IMMUTABLE AS
  $$ SELECT ((hashint8extended(i, salt) & 9223372036854775807) % m)::int $$;

-- ------------------------------------------------------------------------------------------------ parties and carriers

INSERT INTO channels (id, code, name, currency, language) VALUES
  (1, 'webshop-nl', 'Web shop', 'EUR', 'NL'), (2, 'b2b-portal', 'B2B portal', 'EUR', 'NL');

INSERT INTO api_keys (id, name, key_hash, scopes) VALUES
  (1, 'Benchmark', sha256(convert_to(:'apikey', 'UTF8')), '{orders:read,shipments:read}');
INSERT INTO storefront_keys (channel_id, key_hash, name, requests_per_minute) VALUES
  (1, sha256(convert_to(:'apikey', 'UTF8')), 'Benchmark', 1000000000);
INSERT INTO api_key_channels (api_key_id, channel_id) VALUES (1, 1), (1, 2);

INSERT INTO carriers (id, name, type, track_and_trace_url, logo) VALUES
  (1, 'PostNL',        'DELIVERY', 'https://postnl.nl/tracktrace/?B={code}', NULL),
  (2, 'DHL',           'DELIVERY', 'https://www.dhl.com/nl-nl/home/tracking.html?tracking-id={code}', 'https://cdn.example.test/carriers/dhl.svg'),
  (3, 'DPD',           'DELIVERY', 'https://tracking.dpd.de/status/nl_NL/parcel/{code}', 'https://cdn.example.test/carriers/dpd.svg'),
  (4, 'GLS',           'DELIVERY', 'https://gls-group.eu/NL/nl/volg-je-pakket?match={code}', NULL),
  (5, 'UPS',           'DELIVERY', 'https://www.ups.com/track?loc=nl_NL&tracknum={code}', 'https://cdn.example.test/carriers/ups.svg'),
  (6, 'Own truck',     'DELIVERY', NULL, NULL),
  (7, 'Store pick-up', 'PICKUP',   NULL, NULL),
  (8, 'Budbee',        'DELIVERY', 'https://tracking.budbee.com/{code}', NULL);

INSERT INTO order_statuses (code, name, type, order_type, priority, is_editable, is_deletable, customer_status) VALUES
  ('SHIPPED', 'Shipped', 'CUSTOM', 'ORDER', 55, true, true, 'processing');

INSERT INTO customers (id, channel_id, email, first_name, last_name)
SELECT i, 1 + (pg_temp.h(i, 1, 10) >= 8)::int, 'customer' || i || '@example.test', 'Customer', i::text
FROM generate_series(1, greatest(1, :orders / 20)) i;

-- Who buys through the portal buys for a company.
INSERT INTO companies (id, channel_id, name)
SELECT i, 2, 'Company ' || i FROM generate_series(1, greatest(1, :orders / 250)) i;
INSERT INTO contacts (id, channel_id, email, first_name, last_name)
SELECT (SELECT max(id) FROM customers) + c.id, 2, 'contact' || c.id || '@example.test', 'Contact', c.id::text
FROM companies c;
INSERT INTO contact_companies (contact_id, channel_id, company_id)
SELECT (SELECT max(id) FROM customers) + c.id, 2, c.id FROM companies c;

-- Logged in for as long as the data set is kept.
INSERT INTO customer_sessions (channel_id, customer_id, expires_at)
SELECT 1, id, 'infinity' FROM customers WHERE channel_id = 1 ORDER BY id LIMIT 2000;
ANALYZE customers, companies, contacts, contact_companies, customer_sessions, order_statuses;

-- ------------------------------------------------------------------------------------------------ orders

INSERT INTO orders (
  id, channel_id, status, status_date, customer_id, company_id, email, first_name, last_name, source, language, currency,
  sub_total, total_gross, total_net, total_tax, external_id, reference, postage_request_date, created_at, last_modified_at
)
SELECT o.id, c.channel_id,
  CASE WHEN o.age < 2 THEN 'CONFIRMED' WHEN o.age < 10 THEN 'SHIPPED'
       WHEN pg_temp.h(o.id, 3, 100) < 2 THEN 'CANCELED' ELSE 'COMPLETED' END,
  o.ts, c.id, CASE WHEN c.channel_id = 2 THEN 1 + c.id % greatest(1, :orders / 250) END,
  c.email, c.first_name, c.last_name, 'bench', 'NL', 'EUR', 0, 0, 0, 0,
  'EXT-' || o.id, 'PO ' || o.id % 10000, CASE WHEN o.id % 50 = 0 THEN date_trunc('day', o.ts) + interval '3 days' END,
  o.ts, (o.ts + interval '1 second' * pg_temp.h(o.id, 4, 86400))::timestamptz(3)
FROM (
  SELECT i AS id, (:orders - i) * 365.0 / :orders AS age,
    (timestamptz '2025-11-03 14:34:48.828+00'
     - interval '1 millisecond' * ((:orders - i) * (31536000000.0 / :orders) + pg_temp.h(i, 5, 60000)))::timestamptz(3) AS ts
  FROM generate_series(1, :orders) i
) AS o
JOIN customers c ON c.id = 1 + pg_temp.h(o.id, 2, greatest(1, :orders / 20))
ORDER BY o.id;

INSERT INTO order_addresses (
  order_id, channel_id, type, first_name, last_name, street, number, postal_code, city, country, phone, created_at,
  last_modified_at
)
SELECT o.id, o.channel_id, t.type, o.first_name, o.last_name, 'Street', (1 + o.id % 200)::text, (1000 + o.id % 9000)::text,
  'City ' || o.id % 100, 'NL', '020-' || (1000000 + o.customer_id), o.created_at, o.created_at
FROM orders o
CROSS JOIN (VALUES ('delivery'), ('invoice')) AS t (type)
ORDER BY o.id, t.type;
ANALYZE orders, order_addresses;

CREATE TEMP TABLE words AS SELECT ARRAY[
  'Douglas Lariks fijn bezaagd ZWART', 'Ventilatie Filterset Fresh Air', 'Power cord 2x1.50 4.0mtr',
  'Printerstandaard voor ergonomische plaatsing', 'Accu Cirkelzaag 18V Compact', 'RVS Schroef 5x60 Torx (200 st.)',
  'Muurverf mat wit 10L "Premium"', 'Tuinslang 25m met koppeling', 'LED paneel 60x60 4000K', 'Veiligheidsbril helder EN166',
  'Werkhandschoen maat 10', 'Steekwagen 250 kg opvouwbaar', 'Koppelstuk 3/4" messing', 'Isolatieplaat PIR 1200x600x50',
  'Bureaustoel Café Zwart', 'Monitorarm dubbel 32"', 'USB-C dock 11-in-1', 'Stofzuigerzakken (10 st.)',
  'Kabelgoot 40x25 2m', 'Dakgootbeugel zink 30'] AS word;

-- One to five lines of an order.
CREATE TEMP TABLE lines AS
SELECT row_number() OVER (ORDER BY o.id, k)::int AS id, o.id AS order_id, o.channel_id, k
FROM orders o, generate_series(1, 1 + pg_temp.h(o.id, 6, 5)) k;

INSERT INTO order_items (
  id, order_id, channel_id, line, product_id, name, sku, quantity, tax_percentage,
  price, price_net, price_total, price_total_net, tax
)
SELECT id, order_id, channel_id, k, 1 + p, word[1 + p % 20] || ': type ' || (p / 20), 'SKU-' || lpad(p::text, 5, '0'),
  quantity, 21, price, price_net, quantity * price, quantity * price_net, quantity * (price_net - price)
FROM (SELECT *, pg_temp.h(id, 7, 5000) AS p, 1 + pg_temp.h(id, 8, 10) AS quantity FROM lines) AS l
CROSS JOIN LATERAL (SELECT (100 + pg_temp.h(p, 9, 49900)) / 100.0 AS price) AS a
CROSS JOIN LATERAL (SELECT round(price * 1.21, 2) AS price_net) AS b
CROSS JOIN words
ORDER BY id;
CREATE UNIQUE INDEX ON lines (order_id, k);
ANALYZE lines, order_items;

-- ------------------------------------------------------------------------------------------------ shipments

-- One (60 %), two (28 %) or three (12 %) of an order; uuid = md5('shipment:' || n), n = 1, 2, …
CREATE TEMP TABLE parcels AS
SELECT row_number() OVER (ORDER BY o.id, k) AS n, o.id AS order_id, o.channel_id, k, o.created_at AS ordered_at,
  1 + pg_temp.h(o.id, 6, 5) AS lines
FROM orders o,
  generate_series(1, CASE WHEN pg_temp.h(o.id, 10, 100) < 60 THEN 1 WHEN pg_temp.h(o.id, 10, 100) < 88 THEN 2 ELSE 3 END) k;

INSERT INTO shipments (id, order_id, channel_id, status, expected_delivery_at, created_at, last_modified_at)
SELECT md5('shipment:' || n)::uuid, order_id, channel_id,
  CASE WHEN age < 1 THEN (ARRAY['CREATED', 'CREATED', 'PROCESSING'])[1 + r % 3]
       WHEN age < 8 THEN (ARRAY['IN_TRANSIT', 'IN_TRANSIT', 'IN_TRANSIT', 'OUT_FOR_DELIVERY', 'PROCESSING',
                                'DELIVERED', 'DELIVERED', 'EXCEPTION'])[1 + r % 8]
       WHEN r < 930 THEN 'DELIVERED' WHEN r < 940 THEN 'PARTIALLY_DELIVERED' WHEN r < 950 THEN 'FAILED_DELIVERY'
       WHEN r < 985 THEN 'CANCELED' WHEN r < 987 THEN 'IN_TRANSIT' WHEN r < 988 THEN 'OUT_FOR_DELIVERY' ELSE 'EXCEPTION' END,
  CASE WHEN r % 20 > 0 THEN date_trunc('day', ts) + interval '2 days 10 hours' END,
  ts, (ts + interval '1 millisecond' * pg_temp.h(n, 12, 259200000))::timestamptz(3)
FROM (
  SELECT *, pg_temp.h(n, 11, 1000) AS r,
    extract(epoch FROM timestamptz '2025-11-03 14:34:48.828+00' - ts) / 86400 AS age
  FROM (
    SELECT *, (ordered_at + interval '1 millisecond' * (pg_temp.h(n, 13, 43200000) + (k - 1) * 43200000::bigint))::timestamptz(3) AS ts
    FROM parcels
  ) AS p
) AS p
ORDER BY n;

-- One to four distinct lines of its order in each shipment.
INSERT INTO shipment_items (id, shipment_id, order_item_id, order_id, channel_id, name, sku, quantity, created_at, last_modified_at)
SELECT md5('item:' || s.n || ':' || j)::uuid, md5('shipment:' || s.n)::uuid, i.id, i.order_id, i.channel_id,
  split_part(i.name, ':', 1), i.sku, 1 + pg_temp.h(s.n * 4 + j, 16, i.quantity), s.ordered_at, s.ordered_at
FROM parcels s
CROSS JOIN LATERAL generate_series(0, least(s.lines, 1 + pg_temp.h(s.n, 14, 4)) - 1) j
JOIN lines l ON l.order_id = s.order_id AND l.k = 1 + (pg_temp.h(s.n, 15, 5) + j) % s.lines
JOIN order_items i ON i.id = l.id
ORDER BY s.n, j;

INSERT INTO track_and_traces (id, shipment_id, order_id, channel_id, carrier_id, code, created_at, last_modified_at)
SELECT md5('tat:' || n || ':' || j)::uuid, s.id, s.order_id, s.channel_id, 1 + pg_temp.h(n, 17, 8),
  '3S' || upper(substr(md5(n || '/' || j), 1, 14)),
  s.created_at + interval '1 minute' * j, s.created_at + interval '1 minute' * j
FROM parcels p
JOIN shipments s ON s.id = md5('shipment:' || n)::uuid
CROSS JOIN LATERAL generate_series(1, 1 + (pg_temp.h(n, 18, 4) = 0)::int) j
ORDER BY n, j;

-- ------------------------------------------------------------------------------------------------ what is counted of them

-- As `count_shipped` counts it, of which the surplus is allowed.
UPDATE order_items l
SET quantity_shipped = c.shipped, quantity_delivered = c.delivered,
  quantity_overshipped = greatest(0, c.shipped - l.quantity)
FROM (
  SELECT i.order_item_id, coalesce(sum(i.quantity) FILTER (WHERE s.status <> 'CANCELED'), 0) AS shipped,
    coalesce(sum(i.quantity) FILTER (WHERE s.status = 'DELIVERED'), 0) AS delivered
  FROM shipment_items i
  JOIN shipments s ON s.id = i.shipment_id
  GROUP BY i.order_item_id
) AS c
WHERE l.id = c.order_item_id;

-- As `fulfillment_of_order` has it, of orders whose lines are all goods and never canceled.
INSERT INTO order_fulfillments (order_id, channel_id, status, created_at, wanted_at)
SELECT o.id, o.channel_id,
  CASE WHEN o.status = 'CANCELED' THEN 'CANCELED' WHEN p.delivered = p.ordered THEN 'DELIVERED'
       WHEN p.delivered > 0 OR x.order_id IS NOT NULL THEN 'PARTIALLY_DELIVERED'
       WHEN p.shipped = p.ordered THEN 'SHIPPED' WHEN p.shipped > 0 THEN 'PARTIALLY_SHIPPED' ELSE 'UNFULFILLED' END,
  o.created_at,
  CASE WHEN p.shipped < p.ordered AND o.status <> 'CANCELED' THEN o.postage_request_date END
FROM orders o
JOIN (
  SELECT order_id, sum(quantity) AS ordered, sum(least(quantity, quantity_shipped)) AS shipped,
    sum(least(quantity, quantity_delivered)) AS delivered
  FROM order_items
  GROUP BY order_id
) AS p ON p.order_id = o.id
LEFT JOIN (SELECT DISTINCT order_id FROM shipments WHERE status = 'PARTIALLY_DELIVERED') AS x ON x.order_id = o.id
ORDER BY o.id;

-- As `words_of_order` has them: each word with its field and without. Made once of each customer and each product.
CREATE FUNCTION pg_temp.lexemes(field text, words text[]) RETURNS text LANGUAGE sql IMMUTABLE AS
  $$ SELECT string_agg(w || ' ' || field_word(field, w), ' ') FROM unnest(words) w $$;
CREATE TEMP TABLE customer_words AS
SELECT c.id, concat_ws(' ', owner_word('customer', c.id),
  pg_temp.lexemes('CUSTOMER_EMAIL', e.words), pg_temp.lexemes('RECIPIENT_EMAIL', e.words),
  pg_temp.lexemes('CUSTOMER_NAME', words_of(c.first_name || ' ' || c.last_name)),
  pg_temp.lexemes('RECIPIENT_FIRST_NAME', words_of(c.first_name)), pg_temp.lexemes('RECIPIENT_LAST_NAME', words_of(c.last_name)),
  pg_temp.lexemes('INVOICE_ADDRESS_FIRST_NAME', words_of(c.first_name)),
  pg_temp.lexemes('INVOICE_ADDRESS_LAST_NAME', words_of(c.last_name)),
  pg_temp.lexemes('PHONE', ARRAY['020', right(p.phone, 7), p.phone] || ARRAY(SELECT right(p.phone, n) FROM generate_series(6, 9) n))
) AS words
FROM customers c
CROSS JOIN LATERAL (SELECT words_of(c.email) || number_of(c.email) AS words) AS e
CROSS JOIN LATERAL (SELECT '020' || (1000000 + c.id) AS phone) AS p;
CREATE TEMP TABLE product_words AS
SELECT sku, pg_temp.lexemes('ITEM_SKU', words_of(sku) || number_of(sku)) || ' '
  || pg_temp.lexemes('ITEM_NAME', words_of(name)) AS words
FROM (SELECT DISTINCT sku, name FROM order_items) AS p;
CREATE INDEX ON customer_words (id);
CREATE INDEX ON product_words (sku);
ANALYZE customer_words, product_words;
INSERT INTO order_words (order_id, channel_id, words)
SELECT o.id, o.channel_id, array_to_tsvector(string_to_array(concat_ws(' ',
  c.words, i.words, t.words, CASE WHEN o.company_id IS NOT NULL THEN owner_word('company', o.company_id) END,
  format('%1$s :1:%1$s ext :4:ext :4:%1$s ext%1$s :4:ext%1$s po :14:po %2$s :14:%2$s po%2$s :14:po%2$s', o.id, o.id % 10000),
  format('%1$s :29:%1$s city :24:city %2$s :24:%2$s', 1000 + o.id % 9000, o.id % 100)), ' '))
FROM orders o
JOIN customer_words c ON c.id = o.customer_id
JOIN (
  SELECT l.order_id, string_agg(p.words, ' ') AS words
  FROM order_items l
  JOIN product_words p ON p.sku = l.sku
  GROUP BY l.order_id
) AS i ON i.order_id = o.id
JOIN (
  SELECT order_id, string_agg(format('%1$s :25:%1$s', lower(code)), ' ') AS words FROM track_and_traces GROUP BY order_id
) AS t ON t.order_id = o.id
ORDER BY o.id;

SELECT format('ALTER TABLE %s ENABLE TRIGGER %I', relation, name) FROM rules \gexec
SELECT put_back FROM bench_structure ORDER BY step \gexec
DROP TABLE bench_structure;

-- The next ids come after the ones above.
SELECT format('SELECT setval(%L, (SELECT coalesce(max(%I), 0) + 1 FROM %I), false)',
              pg_get_serial_sequence(quote_ident(table_name), column_name), column_name, table_name)
FROM information_schema.columns
WHERE table_schema = 'public' AND is_identity = 'YES' \gexec
SELECT setval('user_ids', (SELECT max(id) + 1 FROM (SELECT id FROM customers UNION ALL SELECT id FROM contacts) u), false);
VACUUM (ANALYZE, FREEZE);
