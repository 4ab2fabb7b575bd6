-- Fills an empty store with `fill.orders` orders and what hangs on them, set-based and the same each time: a year of
-- orders in three channels of very different size, companies of very different size, a few percent still under way.

SET timezone = 'UTC';
-- What is filled in is the past of a store.
SET waybill.skipped_steps = 'allowed';

INSERT INTO channels (id, code, name, currency)
SELECT i, 'channel-' || i, 'Channel ' || i, 'EUR' FROM generate_series(1, 3) AS i;

INSERT INTO carriers (id, name) SELECT i, 'Carrier ' || i FROM generate_series(1, 8) AS i;

INSERT INTO companies (id, channel_id, name)
SELECT i, c, 'Company ' || i || ' of ' || c FROM generate_series(1, 500) AS i, generate_series(1, 3) AS c;

INSERT INTO customers (id, channel_id, email)
SELECT i, 1, 'customer' || i || '@example.test'
FROM generate_series(1, greatest(10, current_setting('fill.orders')::int / 20)) AS i;

-- Half of the orders are a company's, the first company has a tenth of those; the third channel has a hundredth of all.
INSERT INTO orders (
  id, channel_id, status, company_id, customer_id, email, currency, total_gross, total_net, total_tax, sub_total,
  exported_at, created_at, last_modified_at)
SELECT i, channel_id,
  CASE WHEN h % 100 < 8 THEN 'QUOTATION' WHEN h % 100 < 10 THEN 'CANCELED' WHEN h % 100 < 14 THEN 'NEW'
    WHEN h % 100 < 20 THEN 'CONFIRMED' ELSE 'COMPLETED' END,
  CASE WHEN h % 2 = 0 THEN CASE WHEN h / 100 % 10 = 0 THEN 1 ELSE 2 + h / 1000 % 499 END END,
  CASE WHEN h % 2 = 1 AND channel_id = 1 THEN 1 + h / 100 % greatest(10, n / 20) END,
  'someone@example.test', 'EUR', h % 9000 + 1, h % 9000 + 1, 0, h % 9000 + 1,
  -- Since a day of autumn few have had an export, in all more than a list looks at to tell.
  CASE WHEN h % 3 = 0 THEN timestamptz '2025-01-01Z' + i % 365 * interval '1 day' END,
  placed, placed + h % 72 * interval '1 hour'
FROM (
  SELECT i, n, h, CASE WHEN h / 7 % 100 = 0 THEN 3 WHEN h / 7 % 100 < 34 THEN 2 ELSE 1 END AS channel_id,
    -- By the hour: many are placed at the same time.
    date_trunc('hour', timestamptz '2025-11-03 14:34Z' - (n - i) * (interval '365 days' / n)) AS placed
  FROM (
    SELECT i, current_setting('fill.orders')::int AS n, (hashint8extended(i, 1) & 1073741823)::int AS h
    FROM generate_series(1, current_setting('fill.orders')::int) AS i
  ) AS numbered
) AS drawn;

INSERT INTO order_items (
  id, order_id, channel_id, product_id, quantity, sku, name, price, price_net, price_total, price_total_net, tax)
SELECT o.id * 2 + k, o.id, o.channel_id, 1 + o.id % 1000, 1 + k, 'SKU-' || (o.id * 7 + k) % 1000, 'Goods', 10, 10, 10, 10, 0
FROM orders o, generate_series(0, 1) AS k;

INSERT INTO shipments (
  id, number, order_id, channel_id, status, expected_delivery_at, created_at, last_modified_at)
SELECT md5('shipment ' || number)::uuid, number, order_id, channel_id,
  CASE WHEN age < interval '8 days' OR h % 1000 = 999 THEN
      (ARRAY['CREATED', 'PROCESSING', 'IN_TRANSIT', 'IN_TRANSIT', 'OUT_FOR_DELIVERY', 'EXCEPTION', NULL])[1 + h % 7]
    WHEN h % 100 < 4 THEN 'CANCELED' WHEN h % 100 < 5 THEN 'FAILED_DELIVERY' ELSE 'DELIVERED' END,
  CASE WHEN h % 20 > 0 THEN date_trunc('day', sent) + interval '2 days 10 hours' END,
  sent, sent + h % 72 * interval '1 hour'
FROM (
  SELECT o.id * 2 + k AS number, o.id AS order_id, o.channel_id, o.created_at + interval '1 day' * (1 + k) AS sent,
    timestamptz '2025-11-03 14:34Z' - o.created_at AS age, (hashint8extended(o.id * 2 + k, 2) & 1073741823)::int AS h
  FROM orders o, generate_series(0, (o.id % 2)::int) AS k
) AS parcels;

INSERT INTO shipment_items (id, number, shipment_id, order_item_id, order_id, channel_id, name, sku, quantity, created_at)
SELECT md5('item ' || s.number)::uuid, s.number, s.id, i.id, s.order_id, s.channel_id, i.name, i.sku, 1, s.created_at
FROM shipments s
JOIN order_items i ON i.id = s.number AND i.channel_id = s.channel_id;

INSERT INTO track_and_traces (id, shipment_id, order_id, channel_id, carrier_id, code, created_at)
SELECT md5('code ' || s.number)::uuid, s.id, s.order_id, s.channel_id, 1 + s.number % 8, '3S' || s.number, s.created_at
FROM shipments s;
