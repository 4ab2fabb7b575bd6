-- Who reports where goods are may skip steps of the lifecycle; people take them one by one, but for two that the trade
-- knows: goods that are collected, and goods that are lost. What carriers tell is of one parcel, so a code has a status of
-- its own, and a shipment's follows from those of its codes, whoever records the news.

-- step: mark steps that need an override
ALTER TABLE shipment_status_successors ADD COLUMN needs_override boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN shipment_status_successors.needs_override IS 'whether only who may override the lifecycle takes the step';

-- step: let goods be collected, and lost
-- As 0005_writes.sql made it. `SET LOCAL waybill.overridden_steps = 'allowed'` is for who may override the lifecycle.
-- `waybill.skipped_steps` is 'allowed' for who reports states, and 'codes' while a shipment follows its codes.
CREATE OR REPLACE FUNCTION check_shipment_status() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (
    SELECT FROM shipment_status_successors n
    WHERE n.status = OLD.status AND n.next_status = NEW.status
      AND (NOT n.needs_override OR current_setting('waybill.overridden_steps', true) = 'allowed')
  ) THEN
    RETURN NEW;
  END IF;
  IF current_setting('waybill.skipped_steps', true) IN ('allowed', 'codes') AND EXISTS (
    SELECT FROM shipment_status_followers n WHERE n.status = OLD.status AND n.next_status = NEW.status
  ) THEN
    RETURN NEW;
  END IF;
  RAISE EXCEPTION '% cannot follow %', coalesce(NEW.status, 'no status'), OLD.status
    USING ERRCODE = 'check_violation', CONSTRAINT = 'shipments_status_follows', TABLE = 'shipments', COLUMN = 'status';
END $$;
INSERT INTO shipment_status_successors (status, next_status, needs_override) VALUES
  ('CREATED', 'DELIVERED', false), ('PROCESSING', 'DELIVERED', false), ('IN_TRANSIT', 'CANCELED', true);

-- step: let codes have a status
ALTER TABLE track_and_traces
  ADD COLUMN status text,
  ADD COLUMN sub_status text;
COMMENT ON COLUMN track_and_traces.status IS 'of the newest event; null without one';
COMMENT ON COLUMN track_and_traces.sub_status IS 'of the newest event';

-- step: let shipments say when their status was set
ALTER TABLE shipments
  ADD COLUMN sub_status text,
  ADD COLUMN status_set_at timestamptz;
COMMENT ON COLUMN shipments.sub_status IS 'of the newest news that the status comes from, and after the end of any';
COMMENT ON COLUMN shipments.status_set_at IS 'when a person or an import changed the status; null where it follows the codes';

-- step: let events say more than the nine statuses
-- What is_accepted was for, codes and shipments see from the events themselves.
ALTER TABLE tracking_events ADD COLUMN sub_status text;
COMMENT ON COLUMN tracking_events.is_accepted IS 'no longer written: whether the shipment had taken the status';

-- step: say which finer words there are
CREATE FUNCTION is_shipment_sub_status(word text) RETURNS boolean LANGUAGE sql IMMUTABLE
RETURN word IN (
  'ADDRESS_PROBLEM', 'AT_PICKUP_POINT', 'COLLECTED', 'CUSTOMS', 'DAMAGED', 'DELAYED', 'LEFT_IN_SAFE_PLACE',
  'LEFT_WITH_NEIGHBOR', 'LOST', 'NOT_HOME', 'PAYMENT_DUE', 'PICKED_UP', 'REFUSED', 'RETURNED', 'RETURN_TO_SENDER');

-- step: refuse other words of events
ALTER TABLE tracking_events
  ADD CONSTRAINT tracking_events_sub_status_known CHECK (is_shipment_sub_status(sub_status)) NOT VALID;

-- step: look whether events have others
ALTER TABLE tracking_events VALIDATE CONSTRAINT tracking_events_sub_status_known;

-- step: refuse other words of codes
ALTER TABLE track_and_traces
  ADD CONSTRAINT track_and_traces_status_known CHECK (status IN (
    'CREATED', 'PROCESSING', 'IN_TRANSIT', 'OUT_FOR_DELIVERY', 'FAILED_DELIVERY', 'EXCEPTION', 'PARTIALLY_DELIVERED',
    'CANCELED', 'DELIVERED')) NOT VALID,
  ADD CONSTRAINT track_and_traces_sub_status_known CHECK (is_shipment_sub_status(sub_status)) NOT VALID;

-- step: look whether codes have others
ALTER TABLE track_and_traces
  VALIDATE CONSTRAINT track_and_traces_status_known,
  VALIDATE CONSTRAINT track_and_traces_sub_status_known;

-- step: refuse other words of shipments
ALTER TABLE shipments
  ADD CONSTRAINT shipments_sub_status_known CHECK (is_shipment_sub_status(sub_status)) NOT VALID;

-- step: look whether shipments have others
ALTER TABLE shipments VALIDATE CONSTRAINT shipments_sub_status_known;

-- step: record what codes and shipments say now
-- As 0005_writes.sql made them, with status and sub-status.
CREATE OR REPLACE FUNCTION recorded(r shipments)
RETURNS TABLE (entity_id text, channel_id int, order_id int, shipment_id uuid, version int, fields jsonb)
LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT r.id::text, r.channel_id, r.order_id, r.id, r.version, jsonb_build_object(
    'status', r.status, 'subStatus', r.sub_status, 'expectedDeliveryAt', api_moment(r.expected_delivery_at),
    'externalId', r.external_id);
END;
CREATE OR REPLACE FUNCTION recorded(r track_and_traces)
RETURNS TABLE (entity_id text, channel_id int, order_id int, shipment_id uuid, version int, fields jsonb)
LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT r.id::text, r.channel_id, r.order_id, r.shipment_id, r.version, jsonb_build_object(
    'shipmentId', r.shipment_id, 'carrierId', r.carrier_id, 'code', r.code, 'status', r.status,
    'subStatus', r.sub_status);
END;

-- step: note when a status is set
-- Who writes knows better, such as an import whose record was made at another moment, sets the column together with the
-- status.
CREATE FUNCTION note_setting_of_status() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF current_setting('waybill.skipped_steps', true) = 'codes' THEN
    NEW.status_set_at := NULL;
    RETURN NEW;
  END IF;
  IF NEW.status_set_at IS NOT DISTINCT FROM OLD.status_set_at THEN
    NEW.status_set_at := clock_timestamp();
  END IF;
  -- What was told of the former status says nothing of this one.
  IF NEW.sub_status = OLD.sub_status THEN
    NEW.sub_status := NULL;
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER shipments_status_is_set BEFORE UPDATE OF status ON shipments
  FOR EACH ROW WHEN (OLD.status IS DISTINCT FROM NEW.status) EXECUTE FUNCTION note_setting_of_status();

-- step: say how shipments follow their codes
-- How far the events of a code have brought its parcel: the newest of them that the lifecycle leads to. That differs from
-- the status of the code where something was told after the end, such as a return, or of a time that was over. `ways` are
-- the rows of shipment_status_followers, each as two words: one look at that view costs more than all else.
CREATE FUNCTION progress_of_code(code_id uuid, code_channel_id int, ways text[]) RETURNS text
LANGUAGE plpgsql STABLE AS $$
DECLARE
  reached text;
  told text;
BEGIN
  FOR told IN
    SELECT e.status FROM tracking_events e
    WHERE e.track_and_trace_id = code_id AND e.channel_id = code_channel_id
    ORDER BY e.occurred_at, e.status_rank, e.id
  LOOP
    IF reached IS NULL OR reached || ' ' || told = ANY (ways) THEN
      reached := told;
    END IF;
  END LOOP;
  RETURN reached;
END $$;

-- The status of a shipment whose codes have got so far, null for one without news; null where nothing follows from them.
-- Parcels that do not take place do not count beside others, and nobody waits for those without news until it is about
-- delivery. Of several under way the furthest counts: since nothing leads back to PROCESSING, the status would otherwise
-- depend on whose news came first.
CREATE FUNCTION status_of_codes(progress text[]) RETURNS text LANGUAGE sql IMMUTABLE
BEGIN ATOMIC
  SELECT CASE
    WHEN cardinality(progress) = 0 THEN NULL
    WHEN 'CANCELED' = ALL (progress) THEN 'CANCELED'
    WHEN 'DELIVERED' = ALL (array_remove(progress, 'CANCELED')) THEN 'DELIVERED'
    WHEN 'EXCEPTION' = ANY (progress) THEN 'EXCEPTION'
    WHEN 'FAILED_DELIVERY' = ANY (progress) THEN 'FAILED_DELIVERY'
    WHEN progress && ARRAY['DELIVERED', 'PARTIALLY_DELIVERED'] THEN 'PARTIALLY_DELIVERED'
    WHEN 'OUT_FOR_DELIVERY' = ANY (progress) THEN 'OUT_FOR_DELIVERY'
    WHEN 'IN_TRANSIT' = ANY (progress) THEN 'IN_TRANSIT'
    WHEN 'PROCESSING' = ANY (progress) THEN 'PROCESSING'
    WHEN 'CREATED' = ANY (progress) THEN 'CREATED'
  END;
END;

-- Gives a shipment the status that follows from its codes, if the lifecycle leads there. A status that was set stays as
-- long as no event happened after that; but what has no way back, such as delivery, holds whenever it happened. The
-- sub-status is that of the newest news of those codes that the status comes from, and after the end of all of them.
-- `is_written` says that one of the codes was, which is a write to the shipment too.
CREATE FUNCTION follow_codes(followed_id uuid, followed_channel_id int, is_written boolean) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
  ways text[] := ARRAY(SELECT n.status || ' ' || n.next_status FROM shipment_status_followers n);
  present record;
  progress text[];
  told text;
  finer text;
  former text := coalesce(current_setting('waybill.skipped_steps', true), '');
BEGIN
  SELECT s.status, s.sub_status, s.status_set_at INTO present
  FROM shipments s
  WHERE s.id = followed_id AND s.channel_id = followed_channel_id
  FOR NO KEY UPDATE;
  IF NOT FOUND THEN
    RETURN;
  END IF;
  progress := ARRAY(
    SELECT progress_of_code(t.id, t.channel_id, ways) FROM track_and_traces t
    WHERE t.shipment_id = followed_id AND t.channel_id = followed_channel_id);
  told := status_of_codes(progress);
  IF told <> present.status THEN
    IF NOT present.status || ' ' || told = ANY (ways) THEN
      told := NULL;
    ELSIF present.status_set_at IS NOT NULL AND told || ' ' || present.status = ANY (ways) AND NOT EXISTS (
        SELECT FROM track_and_traces t
        JOIN tracking_events e ON e.track_and_trace_id = t.id AND e.channel_id = t.channel_id
        WHERE t.shipment_id = followed_id AND t.channel_id = followed_channel_id
          AND e.occurred_at > present.status_set_at) THEN
      told := NULL;
    END IF;
  END IF;
  IF told IS NOT NULL THEN
    finer := (
      SELECT e.sub_status
      FROM track_and_traces t
      CROSS JOIN LATERAL (
        SELECT n.* FROM tracking_events n
        WHERE n.track_and_trace_id = t.id AND n.channel_id = t.channel_id
        ORDER BY n.occurred_at DESC, n.status_rank DESC, n.id DESC
        LIMIT 1
      ) e
      WHERE t.shipment_id = followed_id AND t.channel_id = followed_channel_id AND (
        e.status = told OR NOT EXISTS (SELECT FROM shipment_status_successors n WHERE n.status = told))
      ORDER BY e.occurred_at DESC, e.status_rank DESC, e.id DESC
      LIMIT 1);
  END IF;
  IF told IS NOT NULL AND (told, finer) IS DISTINCT FROM (present.status, present.sub_status) THEN
    PERFORM set_config('waybill.skipped_steps', 'codes', true);
    UPDATE shipments s SET status = told, sub_status = finer, last_modified_at = statement_timestamp()
    WHERE s.id = followed_id AND s.channel_id = followed_channel_id;
    PERFORM set_config('waybill.skipped_steps', former, true);
  ELSIF is_written THEN
    UPDATE shipments s SET last_modified_at = statement_timestamp()
    WHERE s.id = followed_id AND s.channel_id = followed_channel_id;
  END IF;
END $$;

-- step: let codes follow their events, and shipments their codes
-- Shipments are locked before their codes, and several by their ids, as every writer does.
CREATE FUNCTION follow_events() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  followed record;
BEGIN
  FOR followed IN
    SELECT DISTINCT t.shipment_id, t.channel_id
    FROM new_rows n
    JOIN track_and_traces t ON t.id = n.track_and_trace_id AND t.channel_id = n.channel_id
    ORDER BY t.shipment_id, t.channel_id
  LOOP
    PERFORM FROM shipments s
    WHERE s.id = followed.shipment_id AND s.channel_id = followed.channel_id
    FOR NO KEY UPDATE;
    UPDATE track_and_traces t
    SET status = newest.status, sub_status = newest.sub_status, last_modified_at = statement_timestamp()
    FROM (SELECT DISTINCT n.track_and_trace_id AS id, n.channel_id FROM new_rows n) told
    CROSS JOIN LATERAL (
      SELECT e.status, e.sub_status FROM tracking_events e
      WHERE e.track_and_trace_id = told.id AND e.channel_id = told.channel_id
      ORDER BY e.occurred_at DESC, e.status_rank DESC, e.id DESC
      LIMIT 1
    ) newest
    WHERE t.id = told.id AND t.channel_id = told.channel_id AND t.shipment_id = followed.shipment_id
      AND (t.status, t.sub_status) IS DISTINCT FROM (newest.status, newest.sub_status);
    PERFORM follow_codes(followed.shipment_id, followed.channel_id, FOUND);
  END LOOP;
  RETURN NULL;
END $$;
CREATE TRIGGER tracking_events_are_followed AFTER INSERT ON tracking_events
  REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION follow_events();

-- step: let shipments follow what codes leave and join them
CREATE FUNCTION follow_moved_code() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM follow_codes(OLD.shipment_id, OLD.channel_id, false);
  IF TG_OP = 'UPDATE' THEN
    PERFORM follow_codes(NEW.shipment_id, NEW.channel_id, false);
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER track_and_traces_moved_is_followed AFTER UPDATE OF shipment_id ON track_and_traces
  FOR EACH ROW WHEN (OLD.shipment_id <> NEW.shipment_id) EXECUTE FUNCTION follow_moved_code();
CREATE TRIGGER track_and_traces_deleted_is_followed AFTER DELETE ON track_and_traces
  FOR EACH ROW EXECUTE FUNCTION follow_moved_code();

-- step (in batches): give codes the status of their newest event
-- Shipments stay as they are until there is news: nobody noted which of them were set by hand.
UPDATE track_and_traces t
SET status = u.status
FROM (
  SELECT k.id, k.channel_id, newest.status
  FROM track_and_traces k
  CROSS JOIN LATERAL (
    SELECT e.status FROM tracking_events e
    WHERE e.track_and_trace_id = k.id AND e.channel_id = k.channel_id
    ORDER BY e.occurred_at DESC, e.status_rank DESC, e.id DESC
    LIMIT 1
  ) newest
  WHERE k.status IS NULL
  ORDER BY k.id, k.channel_id
  LIMIT 2000
) u
WHERE t.id = u.id AND t.channel_id = u.channel_id AND t.status IS NULL;
