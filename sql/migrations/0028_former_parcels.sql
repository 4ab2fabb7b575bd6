-- step: tell news of a former parcel
-- A code that is used again has news of both parcels (docs/keys.md). What happened before the later one was recorded, and
-- before the former one freed the code, is of the former.
CREATE FUNCTION is_of_former_parcel(t track_and_traces, moment timestamptz) RETURNS boolean LANGUAGE plpgsql STABLE
SET enable_seqscan = off AS $$
BEGIN
  RETURN moment < t.created_at AND EXISTS (
    SELECT FROM track_and_traces o
    JOIN shipments s ON s.id = o.shipment_id AND s.channel_id = o.channel_id
    CROSS JOIN LATERAL (
      SELECT max(e.occurred_at) AS newest, min(e.occurred_at) FILTER (WHERE e.status = 'CANCELED') AS canceled
      FROM tracking_events e
      WHERE e.track_and_trace_id = o.id AND e.channel_id = o.channel_id
    ) e
    WHERE normalized_code(o.code) = normalized_code(t.code) AND +o.carrier_id = t.carrier_id
      AND +o.channel_id = t.channel_id AND o.created_at < t.created_at AND is_code_free(o)
      AND moment <= CASE WHEN is_code_canceled(o) THEN coalesce(e.canceled, s.status_set_at)
        ELSE coalesce(e.newest, s.status_set_at, s.created_at) + interval '90 days' END);
END $$;

-- step: keep news of a carrier that has yet to come from the codes of others
-- As 0021_pages.sql made it, but that a name which no carrier bears is none of all.
CREATE OR REPLACE FUNCTION take_waiting_reports(r track_and_traces) RETURNS void LANGUAGE sql
BEGIN ATOMIC
  WITH taken AS (
    DELETE FROM waiting_reports w
    WHERE normalized_code(w.code) = normalized_code(r.code) AND w.told_at > now() - interval '30 days'
      AND (w.carrier_id = r.carrier_id OR w.carrier_id IS NULL AND w.carrier IS NULL OR r.carrier_id IS NULL
        OR EXISTS (SELECT FROM carriers c WHERE c.id = r.carrier_id AND is_carrier_called(c, w.carrier)))
      AND (w.channel_ids IS NULL OR r.channel_id = ANY (w.channel_ids))
      AND (w.company_ids IS NULL OR r.company_id = ANY (w.company_ids))
    RETURNING w.*
  )
  INSERT INTO tracking_events (
    track_and_trace_id, channel_id, external_id, status, sub_status, occurred_at, expected_delivery_at, location,
    description, recorded_by)
  SELECT r.id, r.channel_id, w.external_id, w.status, w.sub_status,
    coalesce(w.occurred_at, told_at(w.occurred_local, coalesce(r.carrier_id, w.carrier_id), r.channel_id)),
    coalesce(w.expected_delivery_at, promised_at(w.expected_local, coalesce(r.carrier_id, w.carrier_id), r.channel_id)),
    w.location, w.description, w.told_by
  FROM taken w
  ORDER BY w.told_at, w.id
  ON CONFLICT ON CONSTRAINT tracking_events_external_id_unique DO NOTHING;
END;

-- step: take back the status of a code that has gone
-- As 0010_parcels.sql made it, but that a shipment gets back where the code that told its status is its own no more.
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
  IF current_setting('waybill.skipped_steps', true) = 'codes' AND current_setting('waybill.code_gone', true) = 'yes' THEN
    RETURN NEW;
  END IF;
  RAISE EXCEPTION '% cannot follow %', coalesce(NEW.status, 'no status'), OLD.status
    USING ERRCODE = 'check_violation', CONSTRAINT = 'shipments_status_follows', TABLE = 'shipments', COLUMN = 'status';
END $$;

-- What somebody set stays, and so does a cancellation: its units may have been shipped again.
CREATE FUNCTION forget_code(gone track_and_traces) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  ways CONSTANT text[] := ARRAY(SELECT n.status || ' ' || n.next_status FROM shipment_status_followers n);
  former CONSTANT text := coalesce(current_setting('waybill.skipped_steps', true), '');
  present record;
  progress text[];
  told text;
BEGIN
  SELECT s.status, s.status_set_at INTO present
  FROM shipments s
  WHERE s.id = gone.shipment_id AND s.channel_id = gone.channel_id
  FOR NO KEY UPDATE;
  IF NOT FOUND OR present.status_set_at IS NOT NULL OR present.status = 'CANCELED' THEN
    RETURN;
  END IF;
  progress := ARRAY(
    SELECT progress_of_code(t.id, t.channel_id, ways) FROM track_and_traces t
    WHERE t.shipment_id = gone.shipment_id AND t.channel_id = gone.channel_id AND t.id <> gone.id);
  told := coalesce(status_of_codes(progress), 'CREATED');
  IF told = present.status OR present.status IS DISTINCT FROM
      status_of_codes(progress || coalesce(progress_of_code(gone.id, gone.channel_id, ways), gone.status)) THEN
    RETURN;
  END IF;
  PERFORM set_config('waybill.skipped_steps', 'codes', true), set_config('waybill.code_gone', 'yes', true);
  UPDATE shipments s SET status = told, sub_status = NULL, sub_status_set_at = NULL, last_modified_at = statement_timestamp()
  WHERE s.id = gone.shipment_id AND s.channel_id = gone.channel_id;
  PERFORM set_config('waybill.skipped_steps', former, true), set_config('waybill.code_gone', '', true);
END $$;

CREATE OR REPLACE FUNCTION follow_moved_code() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.status IS NOT NULL THEN
    PERFORM forget_code(OLD);
  END IF;
  PERFORM follow_codes(OLD.shipment_id, OLD.channel_id, false);
  IF TG_OP = 'UPDATE' THEN
    PERFORM follow_codes(NEW.shipment_id, NEW.channel_id, false);
  END IF;
  RETURN NULL;
END $$;
