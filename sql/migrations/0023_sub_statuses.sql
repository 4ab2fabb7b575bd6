-- What a newer record says of a shipment beyond its status is not taken back by older news (decision 18).

-- step: remember when a record was made that said more than a status
ALTER TABLE shipments ADD COLUMN sub_status_set_at timestamptz;
COMMENT ON COLUMN shipments.sub_status_set_at IS 'when the record was made that says the sub-status; null where it follows the codes, or any news may';

-- step: forget it with the status
-- As 0018_records.sql made it.
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
  IF current_setting('waybill.sub_status', true) IS DISTINCT FROM 'given' THEN
    NEW.sub_status_set_at := NULL;
  END IF;
  RETURN NEW;
END $$;

-- step: leave what is newer than all news
-- As 0010_parcels.sql made it, but that of one status older news says nothing beyond it where a newer record does.
CREATE OR REPLACE FUNCTION follow_codes(followed_id uuid, followed_channel_id int, is_written boolean) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
  ways text[] := ARRAY(SELECT n.status || ' ' || n.next_status FROM shipment_status_followers n);
  present record;
  progress text[];
  newest timestamptz;
  told text;
  finer text;
  former text := coalesce(current_setting('waybill.skipped_steps', true), '');
BEGIN
  SELECT s.status, s.sub_status, s.status_set_at, s.sub_status_set_at INTO present
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
  IF coalesce(present.status_set_at, present.sub_status_set_at) IS NOT NULL THEN
    newest := (
      SELECT max(e.occurred_at)
      FROM track_and_traces t
      JOIN tracking_events e ON e.track_and_trace_id = t.id AND e.channel_id = t.channel_id
      WHERE t.shipment_id = followed_id AND t.channel_id = followed_channel_id);
  END IF;
  IF told <> present.status THEN
    IF NOT present.status || ' ' || told = ANY (ways) THEN
      told := NULL;
    ELSIF present.status_set_at IS NOT NULL AND told || ' ' || present.status = ANY (ways)
        AND NOT coalesce(newest > present.status_set_at, false) THEN
      told := NULL;
    END IF;
  ELSIF NOT coalesce(newest > present.sub_status_set_at, present.sub_status_set_at IS NULL) THEN
    told := NULL;
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
    UPDATE shipments s SET status = told, sub_status = finer, sub_status_set_at = NULL,
      last_modified_at = statement_timestamp()
    WHERE s.id = followed_id AND s.channel_id = followed_channel_id;
    PERFORM set_config('waybill.skipped_steps', former, true);
  ELSIF is_written THEN
    UPDATE shipments s SET last_modified_at = statement_timestamp()
    WHERE s.id = followed_id AND s.channel_id = followed_channel_id;
  END IF;
END $$;
