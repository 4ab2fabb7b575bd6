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
