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
