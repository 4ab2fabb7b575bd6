-- What keeps the store right while many write to it, and tells afterwards who changed what.
--
-- The rules are the database's own, so that mutations, imports and an operator's hand are all held to them. Every
-- trigger here expects READ COMMITTED, the isolation of all our transactions: what it reads after it has waited for a
-- lock is what the holder of that lock has committed.

-- ------------------------------------------------------------------------------------------------ versions

-- A version says that a row is not the one that was read before. It does not count: a transaction may add more than 1.

ALTER TABLE orders           ADD COLUMN version int NOT NULL DEFAULT 1;
ALTER TABLE shipments        ADD COLUMN version int NOT NULL DEFAULT 1;
ALTER TABLE shipment_items   ADD COLUMN version int NOT NULL DEFAULT 1;
ALTER TABLE track_and_traces ADD COLUMN version int NOT NULL DEFAULT 1;
ALTER TABLE carriers         ADD COLUMN version int NOT NULL DEFAULT 1;

CREATE FUNCTION raise_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.version := OLD.version + 1;
  RETURN NEW;
END $$;

CREATE TRIGGER orders_version BEFORE UPDATE ON orders
  FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION raise_version();
CREATE TRIGGER shipments_version BEFORE UPDATE ON shipments
  FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION raise_version();
CREATE TRIGGER shipment_items_version BEFORE UPDATE ON shipment_items
  FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION raise_version();
CREATE TRIGGER track_and_traces_version BEFORE UPDATE ON track_and_traces
  FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION raise_version();
CREATE TRIGGER carriers_version BEFORE UPDATE ON carriers
  FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION raise_version();

-- ------------------------------------------------------------------------------------------------ never over-ship

-- How much of a line is on its way is written on the line, where a constraint can compare it with what was ordered and
-- where everybody who ships from the line meets. A bigint, because the sum of allowed quantities may leave an int.

ALTER TABLE order_items
  ADD COLUMN quantity_shipped bigint NOT NULL DEFAULT 0,
  ADD COLUMN quantity_overshipped bigint NOT NULL DEFAULT 0;
COMMENT ON COLUMN order_items.quantity_shipped IS 'sum over the items of shipments that are not canceled; kept by triggers';
COMMENT ON COLUMN order_items.quantity_overshipped IS 'shipped beyond the order before the store refused that; it can only shrink';

UPDATE order_items l
SET quantity_shipped = x.shipped, quantity_overshipped = greatest(0, x.shipped - l.quantity)
FROM (
  SELECT i.order_item_id, i.channel_id, sum(i.quantity) AS shipped
  FROM shipment_items i
  JOIN shipments s ON s.id = i.shipment_id AND s.channel_id = i.channel_id AND s.status IS DISTINCT FROM 'CANCELED'
  WHERE i.quantity IS NOT NULL
  GROUP BY i.order_item_id, i.channel_id
) x
WHERE l.id = x.order_item_id AND l.channel_id = x.channel_id;

ALTER TABLE order_items
  ADD CONSTRAINT order_items_never_overshipped CHECK (quantity_shipped <= quantity + quantity_overshipped);

-- Counts anew instead of adding differences: so a statement that changes a shipment and its items at once counts right,
-- and a line that says the right number already, as an import may write it, is not written again. Lines are locked in
-- one order, so writers of the same lines queue up; the count is a statement of its own, so it sees what the one before
-- has committed.
CREATE FUNCTION count_shipped(line_ids int[], line_channel_ids int[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM FROM order_items l
  WHERE (l.id, l.channel_id) IN (SELECT * FROM unnest(line_ids, line_channel_ids))
  ORDER BY l.id, l.channel_id
  FOR NO KEY UPDATE;

  UPDATE order_items l
  SET quantity_shipped = x.shipped,
    quantity_overshipped = least(l.quantity_overshipped, greatest(0, x.shipped - l.quantity))
  FROM (SELECT DISTINCT * FROM unnest(line_ids, line_channel_ids)) g (id, channel_id)
  CROSS JOIN LATERAL (
    SELECT coalesce(sum(i.quantity), 0) AS shipped
    FROM shipment_items i
    JOIN shipments s ON s.id = i.shipment_id AND s.channel_id = i.channel_id
    WHERE i.order_item_id = g.id AND i.channel_id = g.channel_id AND s.status IS DISTINCT FROM 'CANCELED'
  ) x
  WHERE l.id = g.id AND l.channel_id = g.channel_id AND l.quantity_shipped <> x.shipped;
END $$;

-- An item that comes to a shipment locks the shipment: whoever cancels it at that moment does not see the item yet, and
-- would not count its line.
CREATE FUNCTION count_shipped_of_items() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  lines record;
BEGIN
  IF TG_OP = 'INSERT' THEN
    PERFORM FROM shipments s
    WHERE (s.id, s.channel_id) IN (SELECT n.shipment_id, n.channel_id FROM new_rows n)
    ORDER BY s.id, s.channel_id
    FOR NO KEY UPDATE;
    SELECT array_agg(order_item_id) AS ids, array_agg(channel_id) AS channel_ids INTO lines FROM new_rows;
  ELSIF TG_OP = 'UPDATE' THEN
    PERFORM FROM shipments s
    WHERE (s.id, s.channel_id) IN (
      SELECT n.shipment_id, n.channel_id FROM new_rows n
      WHERE NOT EXISTS (
        SELECT FROM old_rows o
        WHERE (o.id, o.shipment_id, o.order_item_id, o.channel_id) = (n.id, n.shipment_id, n.order_item_id, n.channel_id)))
    ORDER BY s.id, s.channel_id
    FOR NO KEY UPDATE;
    SELECT array_agg(order_item_id) AS ids, array_agg(channel_id) AS channel_ids INTO lines
    FROM (
      (SELECT o.id, o.shipment_id, o.order_item_id, o.channel_id, o.quantity FROM old_rows o
        EXCEPT SELECT n.id, n.shipment_id, n.order_item_id, n.channel_id, n.quantity FROM new_rows n)
      UNION ALL
      (SELECT n.id, n.shipment_id, n.order_item_id, n.channel_id, n.quantity FROM new_rows n
        EXCEPT SELECT o.id, o.shipment_id, o.order_item_id, o.channel_id, o.quantity FROM old_rows o)
    ) moved;
  ELSE
    SELECT array_agg(order_item_id) AS ids, array_agg(channel_id) AS channel_ids INTO lines FROM old_rows;
  END IF;
  IF lines.ids IS NOT NULL THEN
    PERFORM count_shipped(lines.ids, lines.channel_ids);
  END IF;
  RETURN NULL;
END $$;

CREATE TRIGGER shipment_items_count_created AFTER INSERT ON shipment_items
  REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION count_shipped_of_items();
CREATE TRIGGER shipment_items_count_updated AFTER UPDATE ON shipment_items
  REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION count_shipped_of_items();
CREATE TRIGGER shipment_items_count_deleted AFTER DELETE ON shipment_items
  REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION count_shipped_of_items();

-- Deleting a shipment deletes its items, and they count for themselves.
CREATE FUNCTION count_shipped_of_shipments() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  lines record;
BEGIN
  SELECT array_agg(i.order_item_id) AS ids, array_agg(i.channel_id) AS channel_ids INTO lines
  FROM old_rows o
  JOIN new_rows n ON n.id = o.id AND n.channel_id = o.channel_id
  JOIN shipment_items i ON i.shipment_id = n.id AND i.channel_id = n.channel_id
  WHERE (o.status IS NOT DISTINCT FROM 'CANCELED') <> (n.status IS NOT DISTINCT FROM 'CANCELED');
  IF lines.ids IS NOT NULL THEN
    PERFORM count_shipped(lines.ids, lines.channel_ids);
  END IF;
  RETURN NULL;
END $$;

CREATE TRIGGER shipments_count_updated AFTER UPDATE ON shipments
  REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION count_shipped_of_shipments();

-- ------------------------------------------------------------------------------------------------ lifecycle

CREATE TABLE shipment_status_successors (
  status      text NOT NULL,
  next_status text NOT NULL,
  CONSTRAINT shipment_status_successors_pk PRIMARY KEY (status, next_status)
);

INSERT INTO shipment_status_successors (status, next_status) VALUES
  ('CREATED', 'PROCESSING'), ('CREATED', 'IN_TRANSIT'), ('CREATED', 'CANCELED'),
  ('PROCESSING', 'IN_TRANSIT'), ('PROCESSING', 'CANCELED'), ('PROCESSING', 'EXCEPTION'),
  ('IN_TRANSIT', 'OUT_FOR_DELIVERY'), ('IN_TRANSIT', 'PARTIALLY_DELIVERED'), ('IN_TRANSIT', 'DELIVERED'),
  ('IN_TRANSIT', 'FAILED_DELIVERY'), ('IN_TRANSIT', 'EXCEPTION'),
  ('OUT_FOR_DELIVERY', 'PARTIALLY_DELIVERED'), ('OUT_FOR_DELIVERY', 'DELIVERED'),
  ('OUT_FOR_DELIVERY', 'FAILED_DELIVERY'), ('OUT_FOR_DELIVERY', 'EXCEPTION'),
  ('PARTIALLY_DELIVERED', 'OUT_FOR_DELIVERY'), ('PARTIALLY_DELIVERED', 'DELIVERED'), ('PARTIALLY_DELIVERED', 'EXCEPTION'),
  ('FAILED_DELIVERY', 'IN_TRANSIT'), ('FAILED_DELIVERY', 'OUT_FOR_DELIVERY'), ('FAILED_DELIVERY', 'CANCELED'),
  ('FAILED_DELIVERY', 'EXCEPTION'),
  ('EXCEPTION', 'IN_TRANSIT'), ('EXCEPTION', 'OUT_FOR_DELIVERY'), ('EXCEPTION', 'DELIVERED'), ('EXCEPTION', 'CANCELED');

-- Who reports states instead of steps, as an import does, may leave out the steps between two of them.
CREATE VIEW shipment_status_followers AS
WITH RECURSIVE following (status, next_status) AS (
  SELECT status, next_status FROM shipment_status_successors
  UNION
  SELECT f.status, n.next_status FROM following f JOIN shipment_status_successors n ON n.status = f.next_status
)
SELECT status, next_status FROM following;
COMMENT ON VIEW shipment_status_followers IS 'what may come after a status, in one step or several';

-- A shipment without a status may take any. `SET LOCAL waybill.skipped_steps = 'allowed'` is for who reports states.
CREATE FUNCTION check_shipment_status() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT FROM shipment_status_successors n WHERE n.status = OLD.status AND n.next_status = NEW.status) THEN
    RETURN NEW;
  END IF;
  IF current_setting('waybill.skipped_steps', true) = 'allowed' AND EXISTS (
    SELECT FROM shipment_status_followers n WHERE n.status = OLD.status AND n.next_status = NEW.status
  ) THEN
    RETURN NEW;
  END IF;
  RAISE EXCEPTION '% cannot follow %', coalesce(NEW.status, 'no status'), OLD.status
    USING ERRCODE = 'check_violation', CONSTRAINT = 'shipments_status_follows', TABLE = 'shipments', COLUMN = 'status';
END $$;

CREATE TRIGGER shipments_status_follows BEFORE UPDATE OF status ON shipments
  FOR EACH ROW WHEN (OLD.status <> NEW.status OR (NEW.status IS NULL AND OLD.status IS NOT NULL))
  EXECUTE FUNCTION check_shipment_status();

-- ------------------------------------------------------------------------------------------------ transactions

-- One row for each transaction that changed something. Ids are given when a transaction begins to write, positions when
-- it commits; the id is of a sequence of ours, because the server's own start again in a restored database.
CREATE TABLE transactions (
  id          bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT transactions_pk PRIMARY KEY,
  position    bigint CONSTRAINT transactions_position_unique UNIQUE,
  actor       text NOT NULL,
  request_id  text,
  occurred_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON COLUMN transactions.occurred_at IS 'of the first change: later than that of whom the transaction had to wait for';
COMMENT ON COLUMN transactions.position IS 'place in the order of commits; no committed row is without it';
COMMENT ON COLUMN transactions.actor IS 'subject of the viewer who wrote; import, or system where nobody was named';

CREATE SEQUENCE transaction_positions AS bigint;

-- The id of the running transaction, its row made when first asked for. The setting ends with the transaction, and a
-- savepoint that is rolled back takes it along with the row.
CREATE FUNCTION writing_transaction() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  known text := current_setting('waybill.transaction_id', true);
  made bigint;
BEGIN
  IF known <> '' THEN
    RETURN known::bigint;
  END IF;
  INSERT INTO transactions (actor, request_id)
  VALUES (
    coalesce(nullif(current_setting('waybill.actor', true), ''), 'system'),
    nullif(current_setting('waybill.request_id', true), ''))
  RETURNING id INTO made;
  PERFORM set_config('waybill.transaction_id', made::text, true);
  RETURN made;
END $$;

-- The lock is given back after the commit can be seen. So positions appear one after another in the order of commits,
-- and whoever sees one sees all that are lower. The number of the lock is arbitrary and ours.
CREATE FUNCTION take_position() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_advisory_xact_lock(1470275860);
  UPDATE transactions SET position = nextval('transaction_positions') WHERE id = NEW.id;
  RETURN NULL;
END $$;

CREATE CONSTRAINT TRIGGER transactions_take_position AFTER INSERT ON transactions
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION take_position();

-- ------------------------------------------------------------------------------------------------ changes

-- What a transaction did to which row: the feed of changes, the audit trail and the history of a shipment. `old` and
-- `new` hold what is listed below for each table, by the names of the API's fields: what a row was created with, what it
-- held when it was deleted, and on an update the fields that differ. Nothing of persons and addresses is among them, and
-- no free text. Rows are only ever added, so the order of a transaction's own is that of their ids.
CREATE TABLE changes (
  id             bigint GENERATED ALWAYS AS IDENTITY,
  transaction_id bigint NOT NULL,
  type           text NOT NULL CONSTRAINT changes_type_known
                 CHECK (type IN ('ORDER', 'SHIPMENT', 'SHIPMENT_ITEM', 'TRACK_AND_TRACE', 'CARRIER')),
  action         text NOT NULL CONSTRAINT changes_action_known CHECK (action IN ('CREATED', 'UPDATED', 'DELETED')),
  entity_id      text NOT NULL,
  channel_id     int,
  order_id       int,
  shipment_id    uuid,
  version        int NOT NULL,
  old            jsonb,
  new            jsonb
);
COMMENT ON COLUMN changes.transaction_id IS 'a row of transactions; without a constraint, which would be checked row by row';
COMMENT ON COLUMN changes.channel_id IS 'null for carriers, which belong to no channel';
COMMENT ON COLUMN changes.version IS 'of the row after the change, or when it was deleted';
CREATE UNIQUE INDEX changes_transaction ON changes (transaction_id, id);
CREATE INDEX changes_shipment ON changes (shipment_id, id) WHERE shipment_id IS NOT NULL;
-- What moved to another shipment is told of the one that it left, too.
CREATE INDEX changes_left_shipment ON changes ((old ->> 'shipmentId')) WHERE action = 'UPDATED' AND old ? 'shipmentId';

-- A moment as the API writes it, whatever the session's time zone.
CREATE FUNCTION api_moment(moment timestamptz) RETURNS text LANGUAGE sql STABLE
RETURN to_char(moment AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"');

CREATE FUNCTION recorded(r orders)
RETURNS TABLE (entity_id text, channel_id int, order_id int, shipment_id uuid, version int, fields jsonb)
LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT r.id::text, r.channel_id, r.id, NULL::uuid, r.version, jsonb_build_object(
    'status', r.status, 'type', r.type, 'externalId', r.external_id, 'companyId', r.company_id,
    'contactId', r.contact_id, 'customerId', r.customer_id, 'currency', r.currency, 'totalGross', r.total_gross,
    'totalNet', r.total_net, 'totalTax', r.total_tax, 'paymentStatus', r.payment_status);
END;

CREATE FUNCTION recorded(r shipments)
RETURNS TABLE (entity_id text, channel_id int, order_id int, shipment_id uuid, version int, fields jsonb)
LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT r.id::text, r.channel_id, r.order_id, r.id, r.version, jsonb_build_object(
    'status', r.status, 'expectedDeliveryAt', api_moment(r.expected_delivery_at), 'externalId', r.external_id);
END;

CREATE FUNCTION recorded(r shipment_items)
RETURNS TABLE (entity_id text, channel_id int, order_id int, shipment_id uuid, version int, fields jsonb)
LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT r.id::text, r.channel_id, r.order_id, r.shipment_id, r.version, jsonb_build_object(
    'shipmentId', r.shipment_id, 'orderItemId', r.order_item_id, 'name', r.name, 'sku', r.sku, 'quantity', r.quantity);
END;

CREATE FUNCTION recorded(r track_and_traces)
RETURNS TABLE (entity_id text, channel_id int, order_id int, shipment_id uuid, version int, fields jsonb)
LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT r.id::text, r.channel_id, r.order_id, r.shipment_id, r.version, jsonb_build_object(
    'shipmentId', r.shipment_id, 'carrierId', r.carrier_id, 'code', r.code);
END;

CREATE FUNCTION recorded(r carriers)
RETURNS TABLE (entity_id text, channel_id int, order_id int, shipment_id uuid, version int, fields jsonb)
LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT r.id::text, NULL::int, NULL::int, NULL::uuid, r.version, jsonb_build_object(
    'name', r.name, 'type', r.type, 'trackAndTraceURL', r.track_and_trace_url, 'logo', r.logo);
END;

-- The same function and triggers for each table. An update that left a row as it was is no change.
DO $do$
DECLARE
  recorded_table text;
  recorded_type text;
BEGIN
  FOR recorded_table, recorded_type IN VALUES
    ('orders', 'ORDER'), ('shipments', 'SHIPMENT'), ('shipment_items', 'SHIPMENT_ITEM'),
    ('track_and_traces', 'TRACK_AND_TRACE'), ('carriers', 'CARRIER')
  LOOP
    EXECUTE format($sql$
CREATE FUNCTION record_%1$s() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    INSERT INTO changes (transaction_id, type, action, entity_id, channel_id, order_id, shipment_id, version, new)
    SELECT writing_transaction(), %2$L, 'CREATED', n.entity_id, n.channel_id, n.order_id, n.shipment_id, n.version,
      jsonb_strip_nulls(n.fields)
    FROM new_rows r, recorded(ROW(r.*)::%1$s) n;
  ELSIF TG_OP = 'UPDATE' THEN
    INSERT INTO changes (transaction_id, type, action, entity_id, channel_id, order_id, shipment_id, version, old, new)
    SELECT writing_transaction(), %2$L, 'UPDATED', n.entity_id, n.channel_id, n.order_id, n.shipment_id, n.version,
      coalesce(d.old, '{}'), coalesce(d.new, '{}')
    FROM old_rows b, recorded(ROW(b.*)::%1$s) o, new_rows a, recorded(ROW(a.*)::%1$s) n
    CROSS JOIN LATERAL (
      SELECT jsonb_object_agg(f.key, f.value) AS old, jsonb_object_agg(f.key, n.fields -> f.key) AS new
      FROM jsonb_each(o.fields) f
      WHERE f.value <> n.fields -> f.key
    ) d
    WHERE a.id = b.id AND o.channel_id IS NOT DISTINCT FROM n.channel_id AND a.version <> b.version;
  ELSE
    INSERT INTO changes (transaction_id, type, action, entity_id, channel_id, order_id, shipment_id, version, old)
    SELECT writing_transaction(), %2$L, 'DELETED', o.entity_id, o.channel_id, o.order_id, o.shipment_id, o.version,
      jsonb_strip_nulls(o.fields)
    FROM old_rows r, recorded(ROW(r.*)::%1$s) o;
  END IF;
  RETURN NULL;
END $$;

CREATE TRIGGER %1$s_record_created AFTER INSERT ON %1$s
  REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION record_%1$s();
CREATE TRIGGER %1$s_record_updated AFTER UPDATE ON %1$s
  REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION record_%1$s();
CREATE TRIGGER %1$s_record_deleted AFTER DELETE ON %1$s
  REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION record_%1$s();
    $sql$, recorded_table, recorded_type);
  END LOOP;
END $do$;

-- ------------------------------------------------------------------------------------------------ idempotency keys

-- The answers of requests that came with a key, each stored by the transaction that it tells of.
CREATE TABLE idempotency_keys (
  actor        text NOT NULL,
  key          text NOT NULL CONSTRAINT idempotency_keys_key_length CHECK (length(key) BETWEEN 1 AND 255),
  request_hash bytea NOT NULL CONSTRAINT idempotency_keys_hash_sha256 CHECK (length(request_hash) = 32),
  response     bytea NOT NULL,
  created_at   timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT idempotency_keys_pk PRIMARY KEY (actor, key)
);
COMMENT ON COLUMN idempotency_keys.actor IS 'subject of the viewer: keys of different callers never meet';
COMMENT ON COLUMN idempotency_keys.request_hash IS 'of document, operation name and variables';
CREATE INDEX idempotency_keys_created ON idempotency_keys (created_at);
