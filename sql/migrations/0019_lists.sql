-- Every list costs by what it returns, whatever it is filtered and sorted by: rows are counted by the days of their dates, and
-- more of what lists are sorted by has an index.

-- step: count orders, shipments, items and codes by their days
-- Days are those of UTC. A day tells how many rows a list has before a page, and how many lie between two dates: what is
-- not whole days is counted in an index. As with the other tallies each statement adds what it changed as rows of its own.
CREATE FUNCTION utc_day(moment timestamptz) RETURNS date LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (moment AT TIME ZONE 'UTC')::date;
CREATE FUNCTION utc_start(day date) RETURNS timestamptz LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN day::timestamp AT TIME ZONE 'UTC';

CREATE TABLE order_days (
  channel_id    int NOT NULL,
  created_on    date NOT NULL,
  modified_on   date NOT NULL,
  status        text NOT NULL,
  type          text NOT NULL,
  export_status text NOT NULL,
  n             bigint NOT NULL,
  lowest int NOT NULL,
  highest int NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0.1, autovacuum_vacuum_threshold = 1000);
COMMENT ON TABLE order_days IS 'how many rows of orders there are, by days of UTC and by what lists filter by: the sum of n';
COMMENT ON COLUMN order_days.lowest IS 'no id of those rows is lower, and none is higher than `highest`; what is gone may widen this';
CREATE INDEX order_days_key ON order_days (channel_id, created_on);
CREATE TABLE order_fulfillment_days (
  channel_id int NOT NULL,
  created_on date NOT NULL,
  status     text NOT NULL,
  n          bigint NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0.1, autovacuum_vacuum_threshold = 1000);
COMMENT ON TABLE order_fulfillment_days IS 'how many rows of order_fulfillments there are, by days of UTC and by what lists filter by: the sum of n';
CREATE INDEX order_fulfillment_days_key ON order_fulfillment_days (channel_id, created_on);
CREATE TABLE shipment_days (
  channel_id  int NOT NULL,
  created_on  date NOT NULL,
  modified_on date NOT NULL,
  expected_on date,
  status      text,
  n           bigint NOT NULL,
  lowest int NOT NULL,
  highest int NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0.1, autovacuum_vacuum_threshold = 1000);
COMMENT ON TABLE shipment_days IS 'how many rows of shipments there are, by days of UTC and by what lists filter by: the sum of n';
COMMENT ON COLUMN shipment_days.lowest IS 'no order_id of those rows is lower, and none is higher than `highest`; what is gone may widen this';
CREATE INDEX shipment_days_key ON shipment_days (channel_id, created_on);
CREATE TABLE shipment_item_days (
  channel_id  int NOT NULL,
  created_on  date NOT NULL,
  modified_on date NOT NULL,
  quantity    int,
  n           bigint NOT NULL,
  lowest int NOT NULL,
  highest int NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0.1, autovacuum_vacuum_threshold = 1000);
COMMENT ON TABLE shipment_item_days IS 'how many rows of shipment_items there are, by days of UTC and by what lists filter by: the sum of n';
COMMENT ON COLUMN shipment_item_days.lowest IS 'no order_item_id of those rows is lower, and none is higher than `highest`; what is gone may widen this';
CREATE INDEX shipment_item_days_key ON shipment_item_days (channel_id, created_on);
CREATE TABLE track_and_trace_days (
  channel_id  int NOT NULL,
  created_on  date NOT NULL,
  modified_on date NOT NULL,
  carrier_id  int,
  n           bigint NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0.1, autovacuum_vacuum_threshold = 1000);
COMMENT ON TABLE track_and_trace_days IS 'how many rows of track_and_traces there are, by days of UTC and by what lists filter by: the sum of n';
CREATE INDEX track_and_trace_days_key ON track_and_trace_days (channel_id, created_on);

CREATE FUNCTION tally_order_days() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'TRUNCATE' THEN
    TRUNCATE order_days;
  ELSIF TG_OP = 'INSERT' THEN
    INSERT INTO order_days (channel_id, created_on, modified_on, status, type, export_status, n, lowest, highest)
    SELECT channel_id, created_on, modified_on, status, type, export_status, count(*), min(k.key), max(k.key)
    FROM (SELECT channel_id, utc_day(created_at) AS created_on, utc_day(last_modified_at) AS modified_on, status, type, export_status, id AS key FROM added) AS k
    GROUP BY channel_id, created_on, modified_on, status, type, export_status;
  ELSIF TG_OP = 'DELETE' THEN
    INSERT INTO order_days (channel_id, created_on, modified_on, status, type, export_status, n, lowest, highest)
    SELECT channel_id, created_on, modified_on, status, type, export_status, -count(*), min(k.key), max(k.key)
    FROM (SELECT channel_id, utc_day(created_at) AS created_on, utc_day(last_modified_at) AS modified_on, status, type, export_status, id AS key FROM removed) AS k
    GROUP BY channel_id, created_on, modified_on, status, type, export_status;
  ELSE
    INSERT INTO order_days (channel_id, created_on, modified_on, status, type, export_status, n, lowest, highest)
    SELECT channel_id, created_on, modified_on, status, type, export_status, sum(k.n), min(k.key), max(k.key)
    FROM (
      SELECT channel_id, utc_day(created_at) AS created_on, utc_day(last_modified_at) AS modified_on, status, type, export_status, 1 AS n, id AS key FROM added
      UNION ALL
      SELECT channel_id, utc_day(created_at) AS created_on, utc_day(last_modified_at) AS modified_on, status, type, export_status, -1, id FROM removed
    ) AS k
    GROUP BY channel_id, created_on, modified_on, status, type, export_status
    HAVING sum(k.n) <> 0;
  END IF;
  RETURN NULL;
END $$;
CREATE FUNCTION tally_order_fulfillment_days() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'TRUNCATE' THEN
    TRUNCATE order_fulfillment_days;
  ELSIF TG_OP = 'INSERT' THEN
    INSERT INTO order_fulfillment_days (channel_id, created_on, status, n)
    SELECT k.*, count(*)
    FROM (SELECT channel_id, utc_day(created_at) AS created_on, status FROM added) AS k
    GROUP BY channel_id, created_on, status;
  ELSIF TG_OP = 'DELETE' THEN
    INSERT INTO order_fulfillment_days (channel_id, created_on, status, n)
    SELECT k.*, -count(*)
    FROM (SELECT channel_id, utc_day(created_at) AS created_on, status FROM removed) AS k
    GROUP BY channel_id, created_on, status;
  ELSE
    INSERT INTO order_fulfillment_days (channel_id, created_on, status, n)
    SELECT channel_id, created_on, status, sum(k.n)
    FROM (
      SELECT channel_id, utc_day(created_at) AS created_on, status, 1 AS n FROM added
      UNION ALL
      SELECT channel_id, utc_day(created_at) AS created_on, status, -1 FROM removed
    ) AS k
    GROUP BY channel_id, created_on, status
    HAVING sum(k.n) <> 0;
  END IF;
  RETURN NULL;
END $$;
CREATE FUNCTION tally_shipment_days() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'TRUNCATE' THEN
    TRUNCATE shipment_days;
  ELSIF TG_OP = 'INSERT' THEN
    INSERT INTO shipment_days (channel_id, created_on, modified_on, expected_on, status, n, lowest, highest)
    SELECT channel_id, created_on, modified_on, expected_on, status, count(*), min(k.key), max(k.key)
    FROM (SELECT channel_id, utc_day(created_at) AS created_on, utc_day(last_modified_at) AS modified_on, utc_day(expected_delivery_at) AS expected_on, status, order_id AS key FROM added) AS k
    GROUP BY channel_id, created_on, modified_on, expected_on, status;
  ELSIF TG_OP = 'DELETE' THEN
    INSERT INTO shipment_days (channel_id, created_on, modified_on, expected_on, status, n, lowest, highest)
    SELECT channel_id, created_on, modified_on, expected_on, status, -count(*), min(k.key), max(k.key)
    FROM (SELECT channel_id, utc_day(created_at) AS created_on, utc_day(last_modified_at) AS modified_on, utc_day(expected_delivery_at) AS expected_on, status, order_id AS key FROM removed) AS k
    GROUP BY channel_id, created_on, modified_on, expected_on, status;
  ELSE
    INSERT INTO shipment_days (channel_id, created_on, modified_on, expected_on, status, n, lowest, highest)
    SELECT channel_id, created_on, modified_on, expected_on, status, sum(k.n), min(k.key), max(k.key)
    FROM (
      SELECT channel_id, utc_day(created_at) AS created_on, utc_day(last_modified_at) AS modified_on, utc_day(expected_delivery_at) AS expected_on, status, 1 AS n, order_id AS key FROM added
      UNION ALL
      SELECT channel_id, utc_day(created_at) AS created_on, utc_day(last_modified_at) AS modified_on, utc_day(expected_delivery_at) AS expected_on, status, -1, order_id FROM removed
    ) AS k
    GROUP BY channel_id, created_on, modified_on, expected_on, status
    HAVING sum(k.n) <> 0;
  END IF;
  RETURN NULL;
END $$;
CREATE FUNCTION tally_shipment_item_days() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'TRUNCATE' THEN
    TRUNCATE shipment_item_days;
  ELSIF TG_OP = 'INSERT' THEN
    INSERT INTO shipment_item_days (channel_id, created_on, modified_on, quantity, n, lowest, highest)
    SELECT channel_id, created_on, modified_on, quantity, count(*), min(k.key), max(k.key)
    FROM (SELECT channel_id, utc_day(created_at) AS created_on, utc_day(last_modified_at) AS modified_on, quantity, order_item_id AS key FROM added) AS k
    GROUP BY channel_id, created_on, modified_on, quantity;
  ELSIF TG_OP = 'DELETE' THEN
    INSERT INTO shipment_item_days (channel_id, created_on, modified_on, quantity, n, lowest, highest)
    SELECT channel_id, created_on, modified_on, quantity, -count(*), min(k.key), max(k.key)
    FROM (SELECT channel_id, utc_day(created_at) AS created_on, utc_day(last_modified_at) AS modified_on, quantity, order_item_id AS key FROM removed) AS k
    GROUP BY channel_id, created_on, modified_on, quantity;
  ELSE
    INSERT INTO shipment_item_days (channel_id, created_on, modified_on, quantity, n, lowest, highest)
    SELECT channel_id, created_on, modified_on, quantity, sum(k.n), min(k.key), max(k.key)
    FROM (
      SELECT channel_id, utc_day(created_at) AS created_on, utc_day(last_modified_at) AS modified_on, quantity, 1 AS n, order_item_id AS key FROM added
      UNION ALL
      SELECT channel_id, utc_day(created_at) AS created_on, utc_day(last_modified_at) AS modified_on, quantity, -1, order_item_id FROM removed
    ) AS k
    GROUP BY channel_id, created_on, modified_on, quantity
    HAVING sum(k.n) <> 0;
  END IF;
  RETURN NULL;
END $$;
CREATE FUNCTION tally_track_and_trace_days() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'TRUNCATE' THEN
    TRUNCATE track_and_trace_days;
  ELSIF TG_OP = 'INSERT' THEN
    INSERT INTO track_and_trace_days (channel_id, created_on, modified_on, carrier_id, n)
    SELECT k.*, count(*)
    FROM (SELECT channel_id, utc_day(created_at) AS created_on, utc_day(last_modified_at) AS modified_on, carrier_id FROM added) AS k
    GROUP BY channel_id, created_on, modified_on, carrier_id;
  ELSIF TG_OP = 'DELETE' THEN
    INSERT INTO track_and_trace_days (channel_id, created_on, modified_on, carrier_id, n)
    SELECT k.*, -count(*)
    FROM (SELECT channel_id, utc_day(created_at) AS created_on, utc_day(last_modified_at) AS modified_on, carrier_id FROM removed) AS k
    GROUP BY channel_id, created_on, modified_on, carrier_id;
  ELSE
    INSERT INTO track_and_trace_days (channel_id, created_on, modified_on, carrier_id, n)
    SELECT channel_id, created_on, modified_on, carrier_id, sum(k.n)
    FROM (
      SELECT channel_id, utc_day(created_at) AS created_on, utc_day(last_modified_at) AS modified_on, carrier_id, 1 AS n FROM added
      UNION ALL
      SELECT channel_id, utc_day(created_at) AS created_on, utc_day(last_modified_at) AS modified_on, carrier_id, -1 FROM removed
    ) AS k
    GROUP BY channel_id, created_on, modified_on, carrier_id
    HAVING sum(k.n) <> 0;
  END IF;
  RETURN NULL;
END $$;

-- One writer in sixteen folds what there is of the days it has written: see `fold_tallies`. What changes no more is folded by
-- nobody, which leaves as many rows as sixteen writers of each day.
CREATE FUNCTION fold_order_days() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  WITH found AS (
    SELECT t.ctid
    FROM order_days t
    WHERE (t.channel_id, t.created_on) IN (SELECT a.channel_id, a.created_on FROM added a LIMIT 100)
    LIMIT 10000
    FOR UPDATE SKIP LOCKED
  ), taken AS (
    DELETE FROM order_days WHERE ctid = ANY (ARRAY(SELECT ctid FROM found)) RETURNING *
  )
  INSERT INTO order_days (channel_id, created_on, modified_on, status, type, export_status, n, lowest, highest)
  SELECT channel_id, created_on, modified_on, status, type, export_status, sum(n), min(lowest), max(highest)
  FROM taken
  GROUP BY channel_id, created_on, modified_on, status, type, export_status
  HAVING sum(n) <> 0;
  RETURN NULL;
END $$;
CREATE TRIGGER order_days_fold AFTER INSERT ON order_days
REFERENCING NEW TABLE AS added FOR EACH STATEMENT
WHEN (random() < 0.0625 AND current_setting('transaction_isolation') = 'read committed')
EXECUTE FUNCTION fold_order_days();
CREATE FUNCTION fold_order_fulfillment_days() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  WITH found AS (
    SELECT t.ctid
    FROM order_fulfillment_days t
    WHERE (t.channel_id, t.created_on) IN (SELECT a.channel_id, a.created_on FROM added a LIMIT 100)
    LIMIT 10000
    FOR UPDATE SKIP LOCKED
  ), taken AS (
    DELETE FROM order_fulfillment_days WHERE ctid = ANY (ARRAY(SELECT ctid FROM found)) RETURNING *
  )
  INSERT INTO order_fulfillment_days (channel_id, created_on, status, n)
  SELECT channel_id, created_on, status, sum(n)
  FROM taken
  GROUP BY channel_id, created_on, status
  HAVING sum(n) <> 0;
  RETURN NULL;
END $$;
CREATE TRIGGER order_fulfillment_days_fold AFTER INSERT ON order_fulfillment_days
REFERENCING NEW TABLE AS added FOR EACH STATEMENT
WHEN (random() < 0.0625 AND current_setting('transaction_isolation') = 'read committed')
EXECUTE FUNCTION fold_order_fulfillment_days();
CREATE FUNCTION fold_shipment_days() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  WITH found AS (
    SELECT t.ctid
    FROM shipment_days t
    WHERE (t.channel_id, t.created_on) IN (SELECT a.channel_id, a.created_on FROM added a LIMIT 100)
    LIMIT 10000
    FOR UPDATE SKIP LOCKED
  ), taken AS (
    DELETE FROM shipment_days WHERE ctid = ANY (ARRAY(SELECT ctid FROM found)) RETURNING *
  )
  INSERT INTO shipment_days (channel_id, created_on, modified_on, expected_on, status, n, lowest, highest)
  SELECT channel_id, created_on, modified_on, expected_on, status, sum(n), min(lowest), max(highest)
  FROM taken
  GROUP BY channel_id, created_on, modified_on, expected_on, status
  HAVING sum(n) <> 0;
  RETURN NULL;
END $$;
CREATE TRIGGER shipment_days_fold AFTER INSERT ON shipment_days
REFERENCING NEW TABLE AS added FOR EACH STATEMENT
WHEN (random() < 0.0625 AND current_setting('transaction_isolation') = 'read committed')
EXECUTE FUNCTION fold_shipment_days();
CREATE FUNCTION fold_shipment_item_days() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  WITH found AS (
    SELECT t.ctid
    FROM shipment_item_days t
    WHERE (t.channel_id, t.created_on) IN (SELECT a.channel_id, a.created_on FROM added a LIMIT 100)
    LIMIT 10000
    FOR UPDATE SKIP LOCKED
  ), taken AS (
    DELETE FROM shipment_item_days WHERE ctid = ANY (ARRAY(SELECT ctid FROM found)) RETURNING *
  )
  INSERT INTO shipment_item_days (channel_id, created_on, modified_on, quantity, n, lowest, highest)
  SELECT channel_id, created_on, modified_on, quantity, sum(n), min(lowest), max(highest)
  FROM taken
  GROUP BY channel_id, created_on, modified_on, quantity
  HAVING sum(n) <> 0;
  RETURN NULL;
END $$;
CREATE TRIGGER shipment_item_days_fold AFTER INSERT ON shipment_item_days
REFERENCING NEW TABLE AS added FOR EACH STATEMENT
WHEN (random() < 0.0625 AND current_setting('transaction_isolation') = 'read committed')
EXECUTE FUNCTION fold_shipment_item_days();
CREATE FUNCTION fold_track_and_trace_days() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  WITH found AS (
    SELECT t.ctid
    FROM track_and_trace_days t
    WHERE (t.channel_id, t.created_on) IN (SELECT a.channel_id, a.created_on FROM added a LIMIT 100)
    LIMIT 10000
    FOR UPDATE SKIP LOCKED
  ), taken AS (
    DELETE FROM track_and_trace_days WHERE ctid = ANY (ARRAY(SELECT ctid FROM found)) RETURNING *
  )
  INSERT INTO track_and_trace_days (channel_id, created_on, modified_on, carrier_id, n)
  SELECT channel_id, created_on, modified_on, carrier_id, sum(n)
  FROM taken
  GROUP BY channel_id, created_on, modified_on, carrier_id
  HAVING sum(n) <> 0;
  RETURN NULL;
END $$;
CREATE TRIGGER track_and_trace_days_fold AFTER INSERT ON track_and_trace_days
REFERENCING NEW TABLE AS added FOR EACH STATEMENT
WHEN (random() < 0.0625 AND current_setting('transaction_isolation') = 'read committed')
EXECUTE FUNCTION fold_track_and_trace_days();

-- step: count the days of orders from here on
CREATE TRIGGER orders_tally_days_insert AFTER INSERT ON orders
REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION tally_order_days();
CREATE TRIGGER orders_tally_days_update AFTER UPDATE ON orders
REFERENCING NEW TABLE AS added OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION tally_order_days();
CREATE TRIGGER orders_tally_days_delete AFTER DELETE ON orders
REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION tally_order_days();
CREATE TRIGGER orders_tally_days_truncate AFTER TRUNCATE ON orders
FOR EACH STATEMENT EXECUTE FUNCTION tally_order_days();

-- step: count the days of how far they are fulfilled from here on
CREATE TRIGGER order_fulfillments_tally_days_insert AFTER INSERT ON order_fulfillments
REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION tally_order_fulfillment_days();
CREATE TRIGGER order_fulfillments_tally_days_update AFTER UPDATE ON order_fulfillments
REFERENCING NEW TABLE AS added OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION tally_order_fulfillment_days();
CREATE TRIGGER order_fulfillments_tally_days_delete AFTER DELETE ON order_fulfillments
REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION tally_order_fulfillment_days();
CREATE TRIGGER order_fulfillments_tally_days_truncate AFTER TRUNCATE ON order_fulfillments
FOR EACH STATEMENT EXECUTE FUNCTION tally_order_fulfillment_days();

-- step: count the days of shipments from here on
CREATE TRIGGER shipments_tally_days_insert AFTER INSERT ON shipments
REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION tally_shipment_days();
CREATE TRIGGER shipments_tally_days_update AFTER UPDATE ON shipments
REFERENCING NEW TABLE AS added OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION tally_shipment_days();
CREATE TRIGGER shipments_tally_days_delete AFTER DELETE ON shipments
REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION tally_shipment_days();
CREATE TRIGGER shipments_tally_days_truncate AFTER TRUNCATE ON shipments
FOR EACH STATEMENT EXECUTE FUNCTION tally_shipment_days();

-- step: count the days of what is in them from here on
CREATE TRIGGER shipment_items_tally_days_insert AFTER INSERT ON shipment_items
REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION tally_shipment_item_days();
CREATE TRIGGER shipment_items_tally_days_update AFTER UPDATE ON shipment_items
REFERENCING NEW TABLE AS added OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION tally_shipment_item_days();
CREATE TRIGGER shipment_items_tally_days_delete AFTER DELETE ON shipment_items
REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION tally_shipment_item_days();
CREATE TRIGGER shipment_items_tally_days_truncate AFTER TRUNCATE ON shipment_items
FOR EACH STATEMENT EXECUTE FUNCTION tally_shipment_item_days();

-- step: count the days of their codes from here on
CREATE TRIGGER track_and_traces_tally_days_insert AFTER INSERT ON track_and_traces
REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION tally_track_and_trace_days();
CREATE TRIGGER track_and_traces_tally_days_update AFTER UPDATE ON track_and_traces
REFERENCING NEW TABLE AS added OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION tally_track_and_trace_days();
CREATE TRIGGER track_and_traces_tally_days_delete AFTER DELETE ON track_and_traces
REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION tally_track_and_trace_days();
CREATE TRIGGER track_and_traces_tally_days_truncate AFTER TRUNCATE ON track_and_traces
FOR EACH STATEMENT EXECUTE FUNCTION tally_track_and_trace_days();

-- step: count the days of orders of before
-- What a reader sees of rows, without what it sees counted: whoever writes meanwhile adds what it changes, before or after.
INSERT INTO order_days (channel_id, created_on, modified_on, status, type, export_status, n, lowest, highest)
SELECT channel_id, created_on, modified_on, status, type, export_status, sum(k.n), min(k.lowest), max(k.highest)
FROM (
  SELECT channel_id, utc_day(created_at) AS created_on, utc_day(last_modified_at) AS modified_on, status, type, export_status, 1 AS n, id AS lowest, id AS highest FROM orders
  UNION ALL
  SELECT channel_id, created_on, modified_on, status, type, export_status, -n, lowest, highest FROM order_days
) AS k
GROUP BY channel_id, created_on, modified_on, status, type, export_status
HAVING sum(k.n) <> 0;

-- step: see how many days of orders there are
ANALYZE order_days;

-- step: count the days of how far they are fulfilled of before
INSERT INTO order_fulfillment_days (channel_id, created_on, status, n)
SELECT channel_id, created_on, status, sum(k.n)
FROM (
  SELECT channel_id, utc_day(created_at) AS created_on, status, 1 AS n FROM order_fulfillments
  UNION ALL
  SELECT channel_id, created_on, status, -n FROM order_fulfillment_days
) AS k
GROUP BY channel_id, created_on, status
HAVING sum(k.n) <> 0;

-- step: see how many days of how far they are fulfilled there are
ANALYZE order_fulfillment_days;

-- step: count the days of shipments of before
INSERT INTO shipment_days (channel_id, created_on, modified_on, expected_on, status, n, lowest, highest)
SELECT channel_id, created_on, modified_on, expected_on, status, sum(k.n), min(k.lowest), max(k.highest)
FROM (
  SELECT channel_id, utc_day(created_at) AS created_on, utc_day(last_modified_at) AS modified_on, utc_day(expected_delivery_at) AS expected_on, status, 1 AS n, order_id AS lowest, order_id AS highest FROM shipments
  UNION ALL
  SELECT channel_id, created_on, modified_on, expected_on, status, -n, lowest, highest FROM shipment_days
) AS k
GROUP BY channel_id, created_on, modified_on, expected_on, status
HAVING sum(k.n) <> 0;

-- step: see how many days of shipments there are
ANALYZE shipment_days;

-- step: count the days of what is in them of before
INSERT INTO shipment_item_days (channel_id, created_on, modified_on, quantity, n, lowest, highest)
SELECT channel_id, created_on, modified_on, quantity, sum(k.n), min(k.lowest), max(k.highest)
FROM (
  SELECT channel_id, utc_day(created_at) AS created_on, utc_day(last_modified_at) AS modified_on, quantity, 1 AS n, order_item_id AS lowest, order_item_id AS highest FROM shipment_items
  UNION ALL
  SELECT channel_id, created_on, modified_on, quantity, -n, lowest, highest FROM shipment_item_days
) AS k
GROUP BY channel_id, created_on, modified_on, quantity
HAVING sum(k.n) <> 0;

-- step: see how many days of what is in them there are
ANALYZE shipment_item_days;

-- step: count the days of their codes of before
INSERT INTO track_and_trace_days (channel_id, created_on, modified_on, carrier_id, n)
SELECT channel_id, created_on, modified_on, carrier_id, sum(k.n)
FROM (
  SELECT channel_id, utc_day(created_at) AS created_on, utc_day(last_modified_at) AS modified_on, carrier_id, 1 AS n FROM track_and_traces
  UNION ALL
  SELECT channel_id, created_on, modified_on, carrier_id, -n FROM track_and_trace_days
) AS k
GROUP BY channel_id, created_on, modified_on, carrier_id
HAVING sum(k.n) <> 0;

-- step: see how many days of their codes there are
ANALYZE track_and_trace_days;

-- step (outside a transaction): sort orders by what they cost
CREATE INDEX CONCURRENTLY orders_total_gross ON orders (total_gross, id) INCLUDE (channel_id);

-- step (outside a transaction): sort orders by what they cost, the dearest first
-- As many as like cost the same, and among these the id goes up, either way.
CREATE INDEX CONCURRENTLY orders_total_gross_down ON orders (total_gross DESC, id) INCLUDE (channel_id);

-- step (outside a transaction): sort orders by how long they are valid
CREATE INDEX CONCURRENTLY orders_valid_until ON orders (valid_until, id) INCLUDE (channel_id);

-- step (outside a transaction): sort orders by status alone
CREATE INDEX CONCURRENTLY orders_status_id ON orders (status, id) INCLUDE (channel_id, created_at, last_modified_at);

-- step (outside a transaction): find orders by their export
CREATE INDEX CONCURRENTLY orders_exported ON orders (exported_at, id) INCLUDE (channel_id) WHERE exported_at IS NOT NULL;

-- step (outside a transaction): find what an order was made again as
CREATE INDEX CONCURRENTLY orders_original_order ON orders (original_order_id) WHERE original_order_id IS NOT NULL;

-- step (outside a transaction): find shipments that are late
CREATE INDEX CONCURRENTLY shipments_awaited ON shipments (channel_id, expected_delivery_at, id) INCLUDE (status, created_at, last_modified_at)
  WHERE expected_delivery_at IS NOT NULL AND status IS DISTINCT FROM 'DELIVERED' AND status IS DISTINCT FROM 'CANCELED';

-- step (outside a transaction): sort shipments by status alone
CREATE INDEX CONCURRENTLY shipments_status_id ON shipments (status, id) INCLUDE (channel_id, created_at, last_modified_at, expected_delivery_at);

-- step (outside a transaction): sort items by quantity
CREATE INDEX CONCURRENTLY shipment_items_quantity ON shipment_items (quantity, id) INCLUDE (channel_id, created_at, last_modified_at);

-- step (outside a transaction): sort items by name
CREATE INDEX CONCURRENTLY shipment_items_name ON shipment_items (name, id) INCLUDE (channel_id, quantity, created_at, last_modified_at);

-- step (outside a transaction): sort items by name the other way
-- Few names are those of many items each, and among these the id goes up, either way.
CREATE INDEX CONCURRENTLY shipment_items_name_down ON shipment_items (name DESC NULLS LAST, id) INCLUDE (channel_id, quantity, created_at, last_modified_at);

-- step (outside a transaction): sort items by sku the other way
CREATE INDEX CONCURRENTLY shipment_items_sku_down ON shipment_items (sku DESC NULLS LAST, id) INCLUDE (channel_id, quantity, created_at, last_modified_at);

-- step (outside a transaction): sort items by sku
CREATE INDEX CONCURRENTLY shipment_items_sku_id ON shipment_items (sku, id) INCLUDE (channel_id, quantity, created_at, last_modified_at);

-- step (outside a transaction): sort codes by carrier
CREATE INDEX CONCURRENTLY track_and_traces_carrier_id ON track_and_traces (carrier_id, id) INCLUDE (channel_id, created_at, last_modified_at);

-- step: look for uses of a code by the code alone
-- As long as nobody has counted the rows of the table, an index of carriers is as good as that of codes to the planner: it
-- read all codes of the carrier for each that was written. With a sign before them, no index is to be had for the others.
CREATE OR REPLACE FUNCTION number_use_of_code() RETURNS trigger LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
  others record;
BEGIN
  SELECT count(*) > 0 AS are_there, coalesce(max(t.use_number) + 1, 0) AS next_number INTO others
  FROM track_and_traces t
  WHERE normalized_code(t.code) = normalized_code(NEW.code) AND +t.carrier_id = NEW.carrier_id
    AND +t.channel_id = NEW.channel_id AND t.id <> NEW.id;
  IF others.are_there AND NOT coalesce(is_code_free(NEW), false)
      AND is_code_taken(NEW.code, NEW.carrier_id, NEW.channel_id, NEW.order_id, NEW.shipment_id, NEW.id) THEN
    RAISE EXCEPTION 'the code is in use with this carrier'
      USING ERRCODE = 'unique_violation', CONSTRAINT = 'track_and_traces_code_unique', TABLE = 'track_and_traces';
  END IF;
  IF TG_OP = 'INSERT' OR OLD.carrier_id IS DISTINCT FROM NEW.carrier_id
      OR normalized_code(OLD.code) <> normalized_code(NEW.code) THEN
    NEW.use_number := others.next_number;
  END IF;
  RETURN NEW;
END $$;

-- step (outside a transaction): find shipments by carrier
CREATE INDEX CONCURRENTLY track_and_traces_carrier_shipment ON track_and_traces (carrier_id, channel_id, shipment_id);

-- step (outside a transaction): sort items by shipment without a look at them
CREATE INDEX CONCURRENTLY shipment_items_of_shipment ON shipment_items (shipment_id, order_item_id) INCLUDE (id, channel_id);

-- step (outside a transaction): sort codes by shipment without a look at them
CREATE INDEX CONCURRENTLY track_and_traces_of_shipment ON track_and_traces (shipment_id, created_at, id) INCLUDE (channel_id);

-- step (outside a transaction): let go of an index of skus that another one begins with
DROP INDEX CONCURRENTLY shipment_items_sku;

-- step (outside a transaction): let go of an index of items that another one has
DROP INDEX CONCURRENTLY shipment_items_shipment;

-- step (outside a transaction): let go of an index of codes that another one has
DROP INDEX CONCURRENTLY track_and_traces_shipment;
