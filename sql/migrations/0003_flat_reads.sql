-- Lists cost by the rows they return, not by the rows that are stored: indexes in the order of the lists, the company
-- of an order beside the date of what hangs on it, and tallies for the numbers of rows.

-- ------------------------------------------------------------------------------------------------ companies

-- A list of a company's shipments by date needs both in one index, and so do the lists of their items and codes. Which
-- company it is, the order says; nobody writes these columns but the triggers below.
LOCK TABLE orders, shipments, shipment_items, track_and_traces IN SHARE ROW EXCLUSIVE MODE;
ALTER TABLE shipments ADD COLUMN company_id int;
ALTER TABLE shipment_items ADD COLUMN company_id int;
ALTER TABLE track_and_traces ADD COLUMN company_id int;
COMMENT ON COLUMN shipments.company_id IS 'that of the order; kept by triggers, for indexes';
COMMENT ON COLUMN shipment_items.company_id IS 'that of the order; kept by triggers, for indexes';
COMMENT ON COLUMN track_and_traces.company_id IS 'that of the order; kept by triggers, for indexes';

UPDATE shipments s SET company_id = o.company_id FROM orders o
WHERE o.id = s.order_id AND o.channel_id = s.channel_id AND o.company_id IS NOT NULL;
UPDATE shipment_items x SET company_id = o.company_id FROM orders o
WHERE o.id = x.order_id AND o.channel_id = x.channel_id AND o.company_id IS NOT NULL;
UPDATE track_and_traces t SET company_id = o.company_id FROM orders o
WHERE o.id = t.order_id AND o.channel_id = t.channel_id AND o.company_id IS NOT NULL;

-- The lock is the one that the foreign keys take anyway. Whoever moves the order to another company waits for it, because
-- company_id is in a unique index (orders_company), and sees the new row then; whoever moved it first is waited for.
CREATE FUNCTION take_company_of_order() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.company_id := NULL;
  SELECT o.company_id INTO NEW.company_id
  FROM orders o
  WHERE o.id = NEW.order_id AND o.channel_id = NEW.channel_id
  FOR KEY SHARE;
  RETURN NEW;
END
$$;
CREATE TRIGGER shipments_take_company
BEFORE INSERT OR UPDATE OF order_id, channel_id, company_id ON shipments
FOR EACH ROW EXECUTE FUNCTION take_company_of_order();
CREATE TRIGGER shipment_items_take_company
BEFORE INSERT OR UPDATE OF order_id, channel_id, company_id ON shipment_items
FOR EACH ROW EXECUTE FUNCTION take_company_of_order();
CREATE TRIGGER track_and_traces_take_company
BEFORE INSERT OR UPDATE OF order_id, channel_id, company_id ON track_and_traces
FOR EACH ROW EXECUTE FUNCTION take_company_of_order();

CREATE FUNCTION pass_company_on() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE shipments s SET company_id = NEW.company_id WHERE s.order_id = NEW.id AND s.channel_id = NEW.channel_id;
  UPDATE shipment_items x SET company_id = NEW.company_id WHERE x.order_id = NEW.id AND x.channel_id = NEW.channel_id;
  UPDATE track_and_traces t SET company_id = NEW.company_id WHERE t.order_id = NEW.id AND t.channel_id = NEW.channel_id;
  RETURN NULL;
END
$$;
CREATE TRIGGER orders_pass_company_on
AFTER UPDATE OF company_id ON orders
FOR EACH ROW WHEN (OLD.company_id IS DISTINCT FROM NEW.company_id) EXECUTE FUNCTION pass_company_on();

-- ------------------------------------------------------------------------------------------------ indexes

-- Each begins with what a viewer or a filter names, goes on in the order of a list and holds what finds the row, so that
-- the rows before a page are counted in the index alone.
DROP INDEX orders_status, orders_created, orders_company, orders_last_modified;
CREATE INDEX orders_created ON orders (created_at DESC, id) INCLUDE (channel_id);
CREATE INDEX orders_status ON orders (status, created_at DESC, id) INCLUDE (channel_id);
CREATE INDEX orders_channel_status ON orders (channel_id, status, created_at DESC, id);
CREATE UNIQUE INDEX orders_company ON orders (company_id, channel_id, created_at DESC, id) INCLUDE (status);
CREATE INDEX orders_company_status ON orders (company_id, channel_id, status, created_at DESC, id);
CREATE INDEX orders_last_modified ON orders (last_modified_at DESC, id) INCLUDE (channel_id);
CREATE INDEX orders_channel_last_modified ON orders (channel_id, last_modified_at DESC, id);
CREATE INDEX orders_channel_status_last_modified ON orders (channel_id, status, last_modified_at DESC, id);
CREATE INDEX orders_company_last_modified ON orders (company_id, channel_id, last_modified_at DESC, id) INCLUDE (status);

DROP INDEX shipments_status, shipments_created, shipments_expected, shipments_last_modified;
CREATE INDEX shipments_created ON shipments (created_at DESC, id) INCLUDE (channel_id);
CREATE INDEX shipments_status ON shipments (status, created_at DESC, id) INCLUDE (channel_id);
CREATE INDEX shipments_channel_status ON shipments (channel_id, status, created_at DESC, id);
CREATE INDEX shipments_company ON shipments (company_id, channel_id, created_at DESC, id) INCLUDE (order_id);
CREATE INDEX shipments_company_status ON shipments (company_id, channel_id, status, created_at DESC, id) INCLUDE (order_id);
CREATE INDEX shipments_expected ON shipments (expected_delivery_at, id) INCLUDE (channel_id);
CREATE INDEX shipments_channel_expected ON shipments (channel_id, expected_delivery_at, id);
CREATE INDEX shipments_channel_status_expected ON shipments (channel_id, status, expected_delivery_at, id);
CREATE INDEX shipments_last_modified ON shipments (last_modified_at DESC, id) INCLUDE (channel_id);
CREATE INDEX shipments_channel_last_modified ON shipments (channel_id, last_modified_at DESC, id);
CREATE INDEX shipments_channel_status_last_modified ON shipments (channel_id, status, last_modified_at DESC, id);
CREATE INDEX shipments_company_last_modified ON shipments (company_id, channel_id, last_modified_at DESC, id) INCLUDE (order_id);

CREATE INDEX shipment_items_channel ON shipment_items (channel_id, created_at DESC, id);
CREATE INDEX shipment_items_company ON shipment_items (company_id, channel_id, created_at DESC, id);
CREATE INDEX shipment_items_last_modified ON shipment_items (last_modified_at DESC, id);
CREATE INDEX shipment_items_channel_last_modified ON shipment_items (channel_id, last_modified_at DESC, id);
CREATE INDEX shipment_items_company_last_modified ON shipment_items (company_id, channel_id, last_modified_at DESC, id);

CREATE INDEX track_and_traces_order ON track_and_traces (order_id, channel_id);
CREATE INDEX track_and_traces_channel ON track_and_traces (channel_id, created_at DESC, id);
CREATE INDEX track_and_traces_company ON track_and_traces (company_id, channel_id, created_at DESC, id);
CREATE INDEX track_and_traces_last_modified ON track_and_traces (last_modified_at DESC, id);
CREATE INDEX track_and_traces_channel_last_modified ON track_and_traces (channel_id, last_modified_at DESC, id);
CREATE INDEX track_and_traces_company_last_modified ON track_and_traces (company_id, channel_id, last_modified_at DESC, id);

-- ------------------------------------------------------------------------------------------------ tallies

-- How many orders and shipments there are is the sum of n. Every statement that writes them adds what it changed as rows
-- of its own, in its own transaction: nobody waits for anybody, and whoever counts sees exactly the changes whose rows
-- they see. Each change is there twice, for its channel and for its company.
ALTER TABLE companies ADD CONSTRAINT companies_id_not_zero CHECK (id <> 0);

CREATE TABLE order_tallies (
  channel_id int NOT NULL,
  company_id int NOT NULL,
  status     text NOT NULL,
  n          bigint NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
COMMENT ON COLUMN order_tallies.company_id IS '0: all orders of the channel, with or without a company';
CREATE INDEX order_tallies_key ON order_tallies (company_id, channel_id, status);

CREATE TABLE shipment_tallies (
  channel_id int NOT NULL,
  company_id int NOT NULL,
  status     text NOT NULL,
  n          bigint NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
COMMENT ON COLUMN shipment_tallies.company_id IS '0: all shipments of the channel, with or without a company';
COMMENT ON COLUMN shipment_tallies.status IS 'empty where the shipment has none';
CREATE INDEX shipment_tallies_key ON shipment_tallies (company_id, channel_id, status);

CREATE FUNCTION tally_orders() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'TRUNCATE' THEN
    TRUNCATE order_tallies;
  ELSIF TG_OP = 'INSERT' THEN
    INSERT INTO order_tallies (channel_id, company_id, status, n)
    SELECT channel_id, coalesce(company_id, 0), status, count(*)
    FROM added
    GROUP BY GROUPING SETS ((channel_id, status), (channel_id, status, company_id))
    HAVING grouping(company_id) = 1 OR company_id IS NOT NULL;
  ELSIF TG_OP = 'DELETE' THEN
    INSERT INTO order_tallies (channel_id, company_id, status, n)
    SELECT channel_id, coalesce(company_id, 0), status, -count(*)
    FROM removed
    GROUP BY GROUPING SETS ((channel_id, status), (channel_id, status, company_id))
    HAVING grouping(company_id) = 1 OR company_id IS NOT NULL;
  ELSE
    INSERT INTO order_tallies (channel_id, company_id, status, n)
    SELECT channel_id, coalesce(company_id, 0), status, sum(n)
    FROM (
      SELECT channel_id, company_id, status, 1 AS n FROM added
      UNION ALL
      SELECT channel_id, company_id, status, -1 FROM removed
    ) AS changed
    GROUP BY GROUPING SETS ((channel_id, status), (channel_id, status, company_id))
    HAVING sum(n) <> 0 AND (grouping(company_id) = 1 OR company_id IS NOT NULL);
  END IF;
  RETURN NULL;
END
$$;
CREATE TRIGGER orders_tally_insert AFTER INSERT ON orders
REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION tally_orders();
CREATE TRIGGER orders_tally_update AFTER UPDATE ON orders
REFERENCING NEW TABLE AS added OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION tally_orders();
CREATE TRIGGER orders_tally_delete AFTER DELETE ON orders
REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION tally_orders();
CREATE TRIGGER orders_tally_truncate AFTER TRUNCATE ON orders
FOR EACH STATEMENT EXECUTE FUNCTION tally_orders();

CREATE FUNCTION tally_shipments() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'TRUNCATE' THEN
    TRUNCATE shipment_tallies;
  ELSIF TG_OP = 'INSERT' THEN
    INSERT INTO shipment_tallies (channel_id, company_id, status, n)
    SELECT channel_id, coalesce(company_id, 0), coalesce(status, ''), count(*)
    FROM added
    GROUP BY GROUPING SETS ((channel_id, status), (channel_id, status, company_id))
    HAVING grouping(company_id) = 1 OR company_id IS NOT NULL;
  ELSIF TG_OP = 'DELETE' THEN
    INSERT INTO shipment_tallies (channel_id, company_id, status, n)
    SELECT channel_id, coalesce(company_id, 0), coalesce(status, ''), -count(*)
    FROM removed
    GROUP BY GROUPING SETS ((channel_id, status), (channel_id, status, company_id))
    HAVING grouping(company_id) = 1 OR company_id IS NOT NULL;
  ELSE
    INSERT INTO shipment_tallies (channel_id, company_id, status, n)
    SELECT channel_id, coalesce(company_id, 0), coalesce(status, ''), sum(n)
    FROM (
      SELECT channel_id, company_id, status, 1 AS n FROM added
      UNION ALL
      SELECT channel_id, company_id, status, -1 FROM removed
    ) AS changed
    GROUP BY GROUPING SETS ((channel_id, status), (channel_id, status, company_id))
    HAVING sum(n) <> 0 AND (grouping(company_id) = 1 OR company_id IS NOT NULL);
  END IF;
  RETURN NULL;
END
$$;
CREATE TRIGGER shipments_tally_insert AFTER INSERT ON shipments
REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION tally_shipments();
CREATE TRIGGER shipments_tally_update AFTER UPDATE ON shipments
REFERENCING NEW TABLE AS added OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION tally_shipments();
CREATE TRIGGER shipments_tally_delete AFTER DELETE ON shipments
REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION tally_shipments();
CREATE TRIGGER shipments_tally_truncate AFTER TRUNCATE ON shipments
FOR EACH STATEMENT EXECUTE FUNCTION tally_shipments();

-- Both tables are locked against writers since the beginning, so nothing is missed and nothing is counted twice.
INSERT INTO order_tallies (channel_id, company_id, status, n)
SELECT channel_id, coalesce(company_id, 0), status, count(*)
FROM orders
GROUP BY GROUPING SETS ((channel_id, status), (channel_id, status, company_id))
HAVING grouping(company_id) = 1 OR company_id IS NOT NULL;

INSERT INTO shipment_tallies (channel_id, company_id, status, n)
SELECT channel_id, coalesce(company_id, 0), coalesce(status, ''), count(*)
FROM shipments
GROUP BY GROUPING SETS ((channel_id, status), (channel_id, status, company_id))
HAVING grouping(company_id) = 1 OR company_id IS NOT NULL;

-- One writer in sixteen folds the rows of what it has just changed into one. It takes those that nobody else is folding
-- and waits for nobody, so which rows there are depends on chance, but never their sum. Under a stricter isolation a row
-- that another one has folded meanwhile would be an error: such a transaction leaves it to the next.
CREATE FUNCTION fold_tallies() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format(
    $fold$
    WITH found AS (
      SELECT t.ctid
      FROM %1$I t
      WHERE (t.company_id, t.channel_id, t.status) IN (SELECT company_id, channel_id, status FROM added)
      FOR UPDATE SKIP LOCKED
    ), taken AS (
      DELETE FROM %1$I WHERE ctid = ANY (ARRAY(SELECT ctid FROM found)) RETURNING *
    )
    INSERT INTO %1$I (channel_id, company_id, status, n)
    SELECT channel_id, company_id, status, sum(n)
    FROM taken
    GROUP BY channel_id, company_id, status
    HAVING sum(n) <> 0
    $fold$,
    TG_TABLE_NAME);
  RETURN NULL;
END
$$;
CREATE TRIGGER order_tallies_fold AFTER INSERT ON order_tallies
REFERENCING NEW TABLE AS added FOR EACH STATEMENT
WHEN (random() < 0.0625 AND current_setting('transaction_isolation') = 'read committed')
EXECUTE FUNCTION fold_tallies();
CREATE TRIGGER shipment_tallies_fold AFTER INSERT ON shipment_tallies
REFERENCING NEW TABLE AS added FOR EACH STATEMENT
WHEN (random() < 0.0625 AND current_setting('transaction_isolation') = 'read committed')
EXECUTE FUNCTION fold_tallies();
