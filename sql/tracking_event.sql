-- Tracking events: what carriers tell about codes. An event is visible to whoever sees its code.
--
-- Events have one order, by which any set of them reads the same whatever came first: occurred_at, status_rank, id. What
-- codes and shipments make of them, the database sees to, whoever records them: sql/migrations/0010_parcels.sql.

-- fragment: tracking_event
e.id::text, e.track_and_trace_id::text, e.external_id, e.status, e.sub_status, e.occurred_at,
  e.recorded_at, e.location, e.description

-- The newest events of each code, capped: a code may be reported on without end.
-- name: newest_by_track_and_trace_ids
-- feeds: TrackingEvent
SELECT {tracking_event}
FROM unnest(:track_and_trace_ids::uuid[]) AS k (id)
CROSS JOIN LATERAL (
  SELECT e.*
  FROM tracking_events e
  JOIN track_and_traces t ON t.id = e.track_and_trace_id AND t.channel_id = e.channel_id
  WHERE e.track_and_trace_id = k.id AND {visible track_and_traces t}
  ORDER BY e.occurred_at DESC, e.status_rank DESC, e.id DESC
  LIMIT :limit
) AS e
ORDER BY e.occurred_at DESC, e.status_rank DESC, e.id DESC;

-- The code that a report names, one row for each channel that has it; a shipment narrows it down. The rows are locked,
-- so that reports on one shipment follow each other, and a code stays where it is until they are done; the orders before
-- the shipments.
-- name: lock_track_and_traces
WITH ordered AS MATERIALIZED (
  SELECT o.id
  FROM orders o
  WHERE (o.id, o.channel_id) IN (
    SELECT t.order_id, t.channel_id FROM track_and_traces t
    WHERE t.code = :code AND t.carrier_id IS NOT DISTINCT FROM :carrier_id
      AND (:shipment_id::uuid IS NULL OR t.shipment_id = :shipment_id) AND {visible track_and_traces t})
  ORDER BY o.id, o.channel_id
  FOR NO KEY UPDATE OF o
)
SELECT t.id::text, t.channel_id, s.id::text AS shipment_id, s.status
FROM track_and_traces t
JOIN shipments s ON s.id = t.shipment_id AND s.channel_id = t.channel_id
WHERE t.code = :code AND t.carrier_id IS NOT DISTINCT FROM :carrier_id
  AND (:shipment_id::uuid IS NULL OR s.id = :shipment_id) AND {visible track_and_traces t}
  AND (SELECT count(*) FROM ordered) > 0
ORDER BY s.id, s.channel_id, t.id
FOR NO KEY UPDATE OF s
FOR NO KEY UPDATE OF t;

-- No row where the code has an event of this external id already.
-- name: record
-- feeds: TrackingEvent
INSERT INTO tracking_events AS e
  (track_and_trace_id, channel_id, external_id, status, sub_status, occurred_at, location, description)
VALUES (:track_and_trace_id, :channel_id, :external_id, :status, :sub_status, :occurred_at, :location, :description)
ON CONFLICT ON CONSTRAINT tracking_events_external_id_unique DO NOTHING
RETURNING {tracking_event};

-- name: by_external_id
-- feeds: TrackingEvent
SELECT {tracking_event}
FROM tracking_events e
JOIN track_and_traces t ON t.id = e.track_and_trace_id AND t.channel_id = e.channel_id
WHERE e.track_and_trace_id = :track_and_trace_id AND e.channel_id = :channel_id AND e.external_id = :external_id
  AND {visible track_and_traces t};
