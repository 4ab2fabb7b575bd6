-- What records say of shipments beyond their status, the years that there are, and what the feed tells of keys and refunds.

-- step: let a record say more than a status
-- As 0010_parcels.sql made it. `waybill.sub_status` is 'given' for who writes the sub-status together with each status.
CREATE OR REPLACE FUNCTION note_setting_of_status() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF current_setting('waybill.skipped_steps', true) = 'codes' THEN
    NEW.status_set_at := NULL;
    RETURN NEW;
  END IF;
  IF NEW.status_set_at IS NOT DISTINCT FROM OLD.status_set_at THEN
    NEW.status_set_at := clock_timestamp();
  END IF;
  -- What was told of the former status says nothing of this one.
  IF NEW.sub_status = OLD.sub_status AND current_setting('waybill.sub_status', true) IS DISTINCT FROM 'given' THEN
    NEW.sub_status := NULL;
  END IF;
  RETURN NEW;
END $$;

-- step: record the keys of lines and of what hangs on shipments, and the promises of codes
-- As 0014_lines.sql, 0005_writes.sql and 0010_parcels.sql made them, with lineId, externalId and expectedDeliveryAt.
CREATE OR REPLACE FUNCTION recorded(r order_items)
RETURNS TABLE (entity_id text, channel_id int, order_id int, shipment_id uuid, version int, fields jsonb)
LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT r.id::text, r.channel_id, r.order_id, NULL::uuid, r.version, jsonb_build_object(
    'lineId', r.line_id, 'quantity', r.quantity, 'quantityCanceled', r.quantity_canceled, 'class', r.class,
    'parentOrderItemId', r.parent_order_item_id);
END;
CREATE OR REPLACE FUNCTION recorded(r shipment_items)
RETURNS TABLE (entity_id text, channel_id int, order_id int, shipment_id uuid, version int, fields jsonb)
LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT r.id::text, r.channel_id, r.order_id, r.shipment_id, r.version, jsonb_build_object(
    'shipmentId', r.shipment_id, 'orderItemId', r.order_item_id, 'name', r.name, 'sku', r.sku, 'quantity', r.quantity,
    'externalId', r.external_id);
END;
CREATE OR REPLACE FUNCTION recorded(r track_and_traces)
RETURNS TABLE (entity_id text, channel_id int, order_id int, shipment_id uuid, version int, fields jsonb)
LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT r.id::text, r.channel_id, r.order_id, r.shipment_id, r.version, jsonb_build_object(
    'shipmentId', r.shipment_id, 'carrierId', r.carrier_id, 'code', r.code, 'externalId', r.external_id,
    'expectedDeliveryAt', api_moment(r.expected_delivery_at), 'status', r.status, 'subStatus', r.sub_status);
END;

-- step: say which of the parcels that have freed a code was the last
CREATE FUNCTION is_code_canceled(t track_and_traces) RETURNS boolean LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT coalesce('CANCELED' IN (t.status, s.status), false)
  FROM shipments s
  WHERE s.id = t.shipment_id AND s.channel_id = t.channel_id;
END;

-- step: let no late news take a code back
-- As 0015_keys.sql made it: a parcel of which nothing more will be told never set out, or it has arrived 90 days ago. Once
-- the code is used again, its first arrival or cancellation counts, whatever is told of it later.
CREATE OR REPLACE FUNCTION is_code_free(t track_and_traces) RETURNS boolean LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT coalesce(t.status = 'CANCELED' OR s.status = 'CANCELED' OR 'DELIVERED' IN (t.status, s.status) AND coalesce(
      (SELECT max(e.occurred_at) FROM tracking_events e
        WHERE e.track_and_trace_id = t.id AND e.channel_id = t.channel_id),
      s.status_set_at, s.created_at) < now() - interval '90 days', false)
    OR EXISTS (
      SELECT FROM tracking_events e
      WHERE e.track_and_trace_id = t.id AND e.channel_id = t.channel_id
        AND (e.status = 'CANCELED' OR e.status = 'DELIVERED' AND e.occurred_at < now() - interval '90 days')
        AND EXISTS (
          SELECT FROM track_and_traces o
          WHERE normalized_code(o.code) = normalized_code(t.code) AND o.carrier_id IS NOT DISTINCT FROM t.carrier_id
            AND o.channel_id = t.channel_id AND o.created_at > t.created_at))
    OR coalesce(s.status = 'DELIVERED' AND s.status_set_at < now() - interval '90 days', false) AND EXISTS (
      SELECT FROM track_and_traces o
      WHERE normalized_code(o.code) = normalized_code(t.code) AND o.carrier_id IS NOT DISTINCT FROM t.carrier_id
        AND o.channel_id = t.channel_id AND o.created_at > t.created_at)
  FROM shipments s
  WHERE s.id = t.shipment_id AND s.channel_id = t.channel_id;
END;

-- step: let every refund change its order
-- As 0013_money.sql made it, for refunds that leave the sum as it is. The import, which holds the finishing of orders,
-- writes an order whose refunds differ itself, once.
CREATE OR REPLACE FUNCTION sum_refunds() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE orders o SET refunded_total = s.total, last_modified_at = statement_timestamp()
  FROM (
    SELECT w.order_id, w.channel_id, (
        SELECT coalesce(sum(r.amount), 0) FROM refunds r
        WHERE r.order_id = w.order_id AND r.channel_id = w.channel_id) AS total
    FROM (SELECT DISTINCT order_id, channel_id FROM written) w
  ) s
  WHERE o.id = s.order_id AND o.channel_id = s.channel_id
    AND (o.refunded_total <> s.total OR current_setting('waybill.finishing', true) IS DISTINCT FROM 'held');
  RETURN NULL;
END $$;

-- step: say which moments there are
-- Those of the years 1900 to 9998, wherever that was said: clients know no others, and neither does the service. Rows that
-- have others from before can still be written (decision 29).
CREATE FUNCTION is_moment(value timestamptz) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN value >= timestamptz '1899-12-31 00:00+00' AND value < timestamptz '9999-01-02 00:00+00';

-- The names of the columns are the arguments.
CREATE FUNCTION refuse_moment() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  refused text := (
    SELECT c.name FROM unnest(TG_ARGV) WITH ORDINALITY AS c (name, place)
    WHERE NOT is_moment((to_jsonb(NEW) ->> c.name)::timestamptz)
    ORDER BY c.place LIMIT 1);
BEGIN
  RAISE EXCEPTION '% of % is of no year between 1900 and 9998', refused, TG_TABLE_NAME
    USING ERRCODE = 'check_violation', CONSTRAINT = TG_NAME, TABLE = TG_TABLE_NAME, COLUMN = refused;
END $$;

-- step: hold orders to them
CREATE TRIGGER orders_moments_new BEFORE INSERT ON orders FOR EACH ROW WHEN (
    NOT is_moment(NEW.created_at) OR NOT is_moment(NEW.last_modified_at) OR NOT is_moment(NEW.source_modified_at)
    OR NOT is_moment(NEW.postage_request_date) OR NOT is_moment(NEW.status_date)
    OR NOT is_moment(NEW.payment_status_date) OR NOT is_moment(NEW.email_date) OR NOT is_moment(NEW.valid_until)
    OR NOT is_moment(NEW.exported_at))
  EXECUTE FUNCTION refuse_moment('created_at', 'last_modified_at', 'source_modified_at', 'postage_request_date', 'status_date', 'payment_status_date', 'email_date', 'valid_until', 'exported_at');
CREATE TRIGGER orders_moments_other BEFORE UPDATE OF created_at, last_modified_at, source_modified_at, postage_request_date, status_date, payment_status_date, email_date, valid_until, exported_at ON orders
  FOR EACH ROW WHEN (
    NEW.created_at IS DISTINCT FROM OLD.created_at AND NOT is_moment(NEW.created_at)
    OR NEW.last_modified_at IS DISTINCT FROM OLD.last_modified_at AND NOT is_moment(NEW.last_modified_at)
    OR NEW.source_modified_at IS DISTINCT FROM OLD.source_modified_at AND NOT is_moment(NEW.source_modified_at)
    OR NEW.postage_request_date IS DISTINCT FROM OLD.postage_request_date AND NOT is_moment(NEW.postage_request_date)
    OR NEW.status_date IS DISTINCT FROM OLD.status_date AND NOT is_moment(NEW.status_date)
    OR NEW.payment_status_date IS DISTINCT FROM OLD.payment_status_date AND NOT is_moment(NEW.payment_status_date)
    OR NEW.email_date IS DISTINCT FROM OLD.email_date AND NOT is_moment(NEW.email_date)
    OR NEW.valid_until IS DISTINCT FROM OLD.valid_until AND NOT is_moment(NEW.valid_until)
    OR NEW.exported_at IS DISTINCT FROM OLD.exported_at AND NOT is_moment(NEW.exported_at))
  EXECUTE FUNCTION refuse_moment('created_at', 'last_modified_at', 'source_modified_at', 'postage_request_date', 'status_date', 'payment_status_date', 'email_date', 'valid_until', 'exported_at');

-- step: hold lines of orders to them
CREATE TRIGGER order_items_moments_new BEFORE INSERT ON order_items FOR EACH ROW WHEN (
    NOT is_moment(NEW.request_date))
  EXECUTE FUNCTION refuse_moment('request_date');
CREATE TRIGGER order_items_moments_other BEFORE UPDATE OF request_date ON order_items
  FOR EACH ROW WHEN (
    NEW.request_date IS DISTINCT FROM OLD.request_date AND NOT is_moment(NEW.request_date))
  EXECUTE FUNCTION refuse_moment('request_date');

-- step: hold shipments to them
CREATE TRIGGER shipments_moments_new BEFORE INSERT ON shipments FOR EACH ROW WHEN (
    NOT is_moment(NEW.created_at) OR NOT is_moment(NEW.last_modified_at) OR NOT is_moment(NEW.expected_delivery_at)
    OR NOT is_moment(NEW.status_set_at))
  EXECUTE FUNCTION refuse_moment('created_at', 'last_modified_at', 'expected_delivery_at', 'status_set_at');
CREATE TRIGGER shipments_moments_other BEFORE UPDATE OF created_at, last_modified_at, expected_delivery_at, status_set_at ON shipments
  FOR EACH ROW WHEN (
    NEW.created_at IS DISTINCT FROM OLD.created_at AND NOT is_moment(NEW.created_at)
    OR NEW.last_modified_at IS DISTINCT FROM OLD.last_modified_at AND NOT is_moment(NEW.last_modified_at)
    OR NEW.expected_delivery_at IS DISTINCT FROM OLD.expected_delivery_at AND NOT is_moment(NEW.expected_delivery_at)
    OR NEW.status_set_at IS DISTINCT FROM OLD.status_set_at AND NOT is_moment(NEW.status_set_at))
  EXECUTE FUNCTION refuse_moment('created_at', 'last_modified_at', 'expected_delivery_at', 'status_set_at');

-- step: hold items to them
CREATE TRIGGER shipment_items_moments_new BEFORE INSERT ON shipment_items FOR EACH ROW WHEN (
    NOT is_moment(NEW.created_at) OR NOT is_moment(NEW.last_modified_at))
  EXECUTE FUNCTION refuse_moment('created_at', 'last_modified_at');
CREATE TRIGGER shipment_items_moments_other BEFORE UPDATE OF created_at, last_modified_at ON shipment_items
  FOR EACH ROW WHEN (
    NEW.created_at IS DISTINCT FROM OLD.created_at AND NOT is_moment(NEW.created_at)
    OR NEW.last_modified_at IS DISTINCT FROM OLD.last_modified_at AND NOT is_moment(NEW.last_modified_at))
  EXECUTE FUNCTION refuse_moment('created_at', 'last_modified_at');

-- step: hold codes to them
CREATE TRIGGER track_and_traces_moments_new BEFORE INSERT ON track_and_traces FOR EACH ROW WHEN (
    NOT is_moment(NEW.created_at) OR NOT is_moment(NEW.last_modified_at) OR NOT is_moment(NEW.expected_delivery_at))
  EXECUTE FUNCTION refuse_moment('created_at', 'last_modified_at', 'expected_delivery_at');
CREATE TRIGGER track_and_traces_moments_other BEFORE UPDATE OF created_at, last_modified_at, expected_delivery_at ON track_and_traces
  FOR EACH ROW WHEN (
    NEW.created_at IS DISTINCT FROM OLD.created_at AND NOT is_moment(NEW.created_at)
    OR NEW.last_modified_at IS DISTINCT FROM OLD.last_modified_at AND NOT is_moment(NEW.last_modified_at)
    OR NEW.expected_delivery_at IS DISTINCT FROM OLD.expected_delivery_at AND NOT is_moment(NEW.expected_delivery_at))
  EXECUTE FUNCTION refuse_moment('created_at', 'last_modified_at', 'expected_delivery_at');

-- step: hold events to them
CREATE TRIGGER tracking_events_moments_new BEFORE INSERT ON tracking_events FOR EACH ROW WHEN (
    NOT is_moment(NEW.occurred_at) OR NOT is_moment(NEW.recorded_at) OR NOT is_moment(NEW.expected_delivery_at))
  EXECUTE FUNCTION refuse_moment('occurred_at', 'recorded_at', 'expected_delivery_at');
CREATE TRIGGER tracking_events_moments_other BEFORE UPDATE OF occurred_at, recorded_at, expected_delivery_at ON tracking_events
  FOR EACH ROW WHEN (
    NEW.occurred_at IS DISTINCT FROM OLD.occurred_at AND NOT is_moment(NEW.occurred_at)
    OR NEW.recorded_at IS DISTINCT FROM OLD.recorded_at AND NOT is_moment(NEW.recorded_at)
    OR NEW.expected_delivery_at IS DISTINCT FROM OLD.expected_delivery_at AND NOT is_moment(NEW.expected_delivery_at))
  EXECUTE FUNCTION refuse_moment('occurred_at', 'recorded_at', 'expected_delivery_at');

-- step: hold refunds to them
CREATE TRIGGER refunds_moments_new BEFORE INSERT ON refunds FOR EACH ROW WHEN (
    NOT is_moment(NEW.created_at) OR NOT is_moment(NEW.last_modified_at))
  EXECUTE FUNCTION refuse_moment('created_at', 'last_modified_at');
CREATE TRIGGER refunds_moments_other BEFORE UPDATE OF created_at, last_modified_at ON refunds
  FOR EACH ROW WHEN (
    NEW.created_at IS DISTINCT FROM OLD.created_at AND NOT is_moment(NEW.created_at)
    OR NEW.last_modified_at IS DISTINCT FROM OLD.last_modified_at AND NOT is_moment(NEW.last_modified_at))
  EXECUTE FUNCTION refuse_moment('created_at', 'last_modified_at');

-- step: hold customers to them
CREATE TRIGGER customers_moments_new BEFORE INSERT ON customers FOR EACH ROW WHEN (
    NOT is_moment(NEW.created_at) OR NOT is_moment(NEW.last_modified_at))
  EXECUTE FUNCTION refuse_moment('created_at', 'last_modified_at');
CREATE TRIGGER customers_moments_other BEFORE UPDATE OF created_at, last_modified_at ON customers
  FOR EACH ROW WHEN (
    NEW.created_at IS DISTINCT FROM OLD.created_at AND NOT is_moment(NEW.created_at)
    OR NEW.last_modified_at IS DISTINCT FROM OLD.last_modified_at AND NOT is_moment(NEW.last_modified_at))
  EXECUTE FUNCTION refuse_moment('created_at', 'last_modified_at');

-- step: hold carriers to them
CREATE TRIGGER carriers_moments_new BEFORE INSERT ON carriers FOR EACH ROW WHEN (
    NOT is_moment(NEW.created_at) OR NOT is_moment(NEW.last_modified_at))
  EXECUTE FUNCTION refuse_moment('created_at', 'last_modified_at');
CREATE TRIGGER carriers_moments_other BEFORE UPDATE OF created_at, last_modified_at ON carriers
  FOR EACH ROW WHEN (
    NEW.created_at IS DISTINCT FROM OLD.created_at AND NOT is_moment(NEW.created_at)
    OR NEW.last_modified_at IS DISTINCT FROM OLD.last_modified_at AND NOT is_moment(NEW.last_modified_at))
  EXECUTE FUNCTION refuse_moment('created_at', 'last_modified_at');
