-- What records of other systems bring, and the rules that a mutation holds them to as well (decision 29).
--
-- The rules are those of `app/rules.py` and `app/resolvers/tracking.py`. They bind what is written from now on, and are
-- triggers rather than constraints: a row that broke one before can still be shipped, moved and deleted.

-- step: say what a line of text is, and what a template
CREATE FUNCTION is_line(value text) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN value !~ '[\u0001-\u001f\u007f-\u009f\u2028\u2029]'
  AND value ~ '[^\u0020\u00a0\u00ad\u1680\u180e\u2000-\u200f\u202a-\u202f\u205f-\u206f\u3000\ufeff]';
CREATE FUNCTION is_tracking_template(value text) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN value ~ '^https://[^][\s/?#@{}<>%\\]+([/?#]|$)'
  AND value ~ '\{(code|postalCode|country|language|orderNumber)\}'
  AND regexp_replace(value, '\{(code|postalCode|country|language|orderNumber)\}', '', 'g')
    !~ '[\s\\{}<>\u0001-\u001f\u007f-\u009f\u2028\u2029]|%s|%[0-9]+\$';

CREATE FUNCTION refuse_value() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% of % is refused', TG_ARGV[0], TG_TABLE_NAME
    USING ERRCODE = 'check_violation', CONSTRAINT = TG_NAME, TABLE = TG_TABLE_NAME, COLUMN = TG_ARGV[0];
END $$;

-- step: hold carriers to them
CREATE TRIGGER carriers_name_new BEFORE INSERT ON carriers
  FOR EACH ROW WHEN (NOT is_line(NEW.name)) EXECUTE FUNCTION refuse_value('name');
CREATE TRIGGER carriers_name_other BEFORE UPDATE OF name ON carriers
  FOR EACH ROW WHEN (NEW.name <> OLD.name AND NOT is_line(NEW.name)) EXECUTE FUNCTION refuse_value('name');
CREATE TRIGGER carriers_url_new BEFORE INSERT ON carriers
  FOR EACH ROW WHEN (NOT is_tracking_template(NEW.track_and_trace_url))
  EXECUTE FUNCTION refuse_value('track_and_trace_url');
CREATE TRIGGER carriers_url_other BEFORE UPDATE OF track_and_trace_url ON carriers
  FOR EACH ROW WHEN (NEW.track_and_trace_url IS DISTINCT FROM OLD.track_and_trace_url
    AND NOT is_tracking_template(NEW.track_and_trace_url))
  EXECUTE FUNCTION refuse_value('track_and_trace_url');

-- step: hold codes to them
CREATE TRIGGER track_and_traces_code_new BEFORE INSERT ON track_and_traces
  FOR EACH ROW WHEN (NOT is_line(NEW.code)) EXECUTE FUNCTION refuse_value('code');
CREATE TRIGGER track_and_traces_code_other BEFORE UPDATE OF code ON track_and_traces
  FOR EACH ROW WHEN (NEW.code <> OLD.code AND NOT is_line(NEW.code)) EXECUTE FUNCTION refuse_value('code');

-- step: hold lines of orders to them
CREATE TRIGGER order_items_sku_new BEFORE INSERT ON order_items
  FOR EACH ROW WHEN (NOT is_line(NEW.sku)) EXECUTE FUNCTION refuse_value('sku');
CREATE TRIGGER order_items_sku_other BEFORE UPDATE OF sku ON order_items
  FOR EACH ROW WHEN (NEW.sku <> OLD.sku AND NOT is_line(NEW.sku)) EXECUTE FUNCTION refuse_value('sku');
CREATE TRIGGER order_items_name_new BEFORE INSERT ON order_items
  FOR EACH ROW WHEN (NOT is_line(NEW.name)) EXECUTE FUNCTION refuse_value('name');
CREATE TRIGGER order_items_name_other BEFORE UPDATE OF name ON order_items
  FOR EACH ROW WHEN (NEW.name <> OLD.name AND NOT is_line(NEW.name)) EXECUTE FUNCTION refuse_value('name');

-- step: have no shipment expected before it was created
-- Midnight may stand for the whole day, so that it lies up to a day of clock change before. The day that the order asked
-- for may have passed.
CREATE FUNCTION refuse_promise() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.expected_delivery_at = (
    SELECT o.postage_request_date FROM orders o WHERE o.id = NEW.order_id AND o.channel_id = NEW.channel_id
  ) THEN
    RETURN NEW;
  END IF;
  RAISE EXCEPTION 'a shipment is expected before it was created'
    USING ERRCODE = 'check_violation', CONSTRAINT = TG_NAME, TABLE = 'shipments', COLUMN = 'expected_delivery_at';
END $$;
CREATE TRIGGER shipments_promise_new BEFORE INSERT ON shipments
  FOR EACH ROW WHEN (NEW.expected_delivery_at < NEW.created_at - interval '25 hours')
  EXECUTE FUNCTION refuse_promise();
CREATE TRIGGER shipments_promise_other BEFORE UPDATE OF expected_delivery_at ON shipments
  FOR EACH ROW WHEN (NEW.expected_delivery_at IS DISTINCT FROM OLD.expected_delivery_at
    AND NEW.expected_delivery_at < NEW.created_at - interval '25 hours')
  EXECUTE FUNCTION refuse_promise();

-- step: let an order have the moment of its source
ALTER TABLE orders ADD COLUMN source_modified_at timestamptz, ADD COLUMN status_changed_at timestamptz;
COMMENT ON COLUMN orders.source_modified_at IS 'when the source wrote the record that the order is of; null where that does not say';
COMMENT ON COLUMN orders.status_changed_at IS 'when the status last changed here, not by a record; null where never';

-- step: let a shipment have the moment of its status
ALTER TABLE shipments ADD COLUMN status_changed_at timestamptz;
COMMENT ON COLUMN shipments.status_changed_at IS 'when the status last changed here, not by a record; null where never';

-- step: note when statuses are set here
CREATE FUNCTION note_status() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.status_changed_at := statement_timestamp();
  RETURN NEW;
END $$;
CREATE TRIGGER orders_status_set BEFORE UPDATE OF status ON orders
  FOR EACH ROW WHEN (NEW.status <> OLD.status AND current_setting('waybill.actor', true) IS DISTINCT FROM 'import')
  EXECUTE FUNCTION note_status();

-- step: note when the statuses of shipments are set here
CREATE TRIGGER shipments_status_set BEFORE UPDATE OF status ON shipments
  FOR EACH ROW WHEN (NEW.status IS DISTINCT FROM OLD.status
    AND current_setting('waybill.actor', true) IS DISTINCT FROM 'import')
  EXECUTE FUNCTION note_status();

-- step: have every write move the date of its row, and never back
-- Whoever gives no moment of his own writes now (decision 19).
CREATE OR REPLACE FUNCTION raise_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.version := OLD.version + 1;
  IF NEW.last_modified_at = OLD.last_modified_at THEN
    NEW.last_modified_at := statement_timestamp();
  END IF;
  NEW.last_modified_at := greatest(NEW.last_modified_at, OLD.last_modified_at);
  RETURN NEW;
END $$;

-- step: let a line have the key of its source
ALTER TABLE order_items ADD COLUMN line_id text;
COMMENT ON COLUMN order_items.line_id IS 'key of the line in the system it was imported from, whatever its number is there by now';

-- step (outside a transaction): find lines by that key
CREATE UNIQUE INDEX CONCURRENTLY order_items_line_id ON order_items (order_id, line_id, channel_id)
  WHERE line_id IS NOT NULL;
