-- Tracking events: what carriers tell about codes. An event is visible to whoever sees its code.
--
-- Events have one order, by which any set of them reads the same whatever came first: occurred_at, status_rank, id. What
-- codes and shipments make of them, the database sees to, whoever records them: sql/migrations/0010_parcels.sql.

-- fragment: tracking_event
e.id::text, e.track_and_trace_id::text, e.external_id, e.status, e.sub_status, e.occurred_at, e.recorded_at,
  e.expected_delivery_at, e.location, e.description

-- The newest events of each code, capped: a code may be reported on without end.
-- name: newest_by_track_and_trace_ids
-- feeds: TrackingEvent
SELECT {tracking_event}
FROM unnest(:track_and_trace_ids::uuid[]) AS k (id)
CROSS JOIN LATERAL (
  SELECT e.*
  FROM tracking_events e
  WHERE e.track_and_trace_id = k.id AND {visible tracking_events e}
  ORDER BY e.occurred_at DESC, e.status_rank DESC, e.id DESC
  LIMIT :limit
) AS e
ORDER BY e.occurred_at DESC, e.status_rank DESC, e.id DESC;

-- name: by_ids
-- feeds: TrackingEvent
SELECT {tracking_event}
FROM tracking_events e
JOIN track_and_traces t ON t.id = e.track_and_trace_id AND t.channel_id = e.channel_id
WHERE e.id = ANY(:ids::uuid[]) AND {visible track_and_traces t};

-- The codes that reports may mean, those that fit best: of the carrier that is named, else those whose carrier is not
-- recorded, and where none is named, those without one before those of any; of these, those whose parcel is under way before
-- those that have freed the code (decision 25). Of these a channel has one, the newest that was not canceled, or else the
-- newest. What happened in the time of a former parcel is of that one, unless a shipment is named. `place` is that of the
-- report; the moments are those that were told without an offset.
-- name: codes_of_reports
SELECT a.place::int - 1 AS place, f.id, f.channel_id, f.shipment_id, f.order_id,
  told_at(a.occurred_local, coalesce(f.carrier_id, a.carrier_id), f.channel_id) AS occurred_at,
  promised_at(a.expected_local, coalesce(f.carrier_id, a.carrier_id), f.channel_id) AS expected_delivery_at
FROM unnest(
  :codes::text[], :carrier_ids::int[], :shipment_ids::uuid[], :occurred_at::timestamptz[], :occurred_local::timestamp[],
  :expected_local::timestamp[]
) WITH ORDINALITY AS a (code, carrier_id, shipment_id, occurred_at, occurred_local, expected_local, place)
CROSS JOIN LATERAL (
  SELECT t.id, t.channel_id, t.shipment_id, t.order_id, t.carrier_id,
    rank() OVER (ORDER BY t.carrier_id IS DISTINCT FROM a.carrier_id, t.carrier_id IS NOT NULL, u.is_free) AS fit,
    CASE WHEN u.is_free THEN row_number() OVER (
      PARTITION BY t.channel_id
      ORDER BY t.carrier_id IS DISTINCT FROM a.carrier_id, t.carrier_id IS NOT NULL, u.is_free, is_code_canceled(t),
        t.created_at DESC, t.id DESC) ELSE 1 END AS use
  FROM track_and_traces t
  CROSS JOIN LATERAL (SELECT is_code_free(t) AS is_free) u
  WHERE normalized_code(t.code) = a.code AND (a.carrier_id IS NULL OR t.carrier_id IS NULL OR t.carrier_id = a.carrier_id)
    AND (a.shipment_id = t.shipment_id OR a.shipment_id IS NULL AND NOT is_of_former_parcel(t,
      coalesce(a.occurred_at, told_at(a.occurred_local, coalesce(t.carrier_id, a.carrier_id), t.channel_id))))
    AND {visible track_and_traces t}
) f
WHERE f.fit = 1 AND f.use = 1
ORDER BY a.place, f.shipment_id, f.channel_id, f.id;

-- Before the shipments of the codes: see `shipment.lock`.
-- name: lock_orders
SELECT o.id
FROM orders o
WHERE o.id = ANY(:ids) AND {visible orders o}
ORDER BY o.id, o.channel_id
FOR NO KEY UPDATE OF o;

-- The shipments of the codes are locked before: see `shipment.lock`. A code that has gone meanwhile is left out, and one
-- that has moved tells where it is now.
-- name: lock_track_and_traces
SELECT t.id, t.channel_id, t.shipment_id
FROM track_and_traces t
WHERE t.id = ANY(:ids) AND {visible track_and_traces t}
ORDER BY t.id, t.channel_id
FOR NO KEY UPDATE OF t;

-- No row for an event whose external id its code knows already.
-- name: record
-- feeds: TrackingEvent
INSERT INTO tracking_events AS e (
  id, track_and_trace_id, channel_id, external_id, status, sub_status, occurred_at, expected_delivery_at, location,
  description)
SELECT w.id, w.track_and_trace_id, w.channel_id, w.external_id, w.status, w.sub_status, w.occurred_at,
  w.expected_delivery_at, w.location, w.description
FROM unnest(
  :ids::uuid[], :track_and_trace_ids::uuid[], :channel_ids::int[], :external_ids::text[], :statuses::text[],
  :sub_statuses::text[], :occurred_at::timestamptz[], :expected_delivery_at::timestamptz[], :locations::text[],
  :descriptions::text[]) WITH ORDINALITY AS w (
  id, track_and_trace_id, channel_id, external_id, status, sub_status, occurred_at, expected_delivery_at, location,
  description, place)
ORDER BY w.place
ON CONFLICT ON CONSTRAINT tracking_events_external_id_unique DO NOTHING
RETURNING {tracking_event};

-- name: by_external_ids
-- feeds: TrackingEvent
SELECT {tracking_event}
FROM unnest(:track_and_trace_ids::uuid[], :channel_ids::int[], :external_ids::text[])
  AS k (track_and_trace_id, channel_id, external_id)
JOIN tracking_events e ON e.track_and_trace_id = k.track_and_trace_id AND e.channel_id = k.channel_id
  AND e.external_id = k.external_id
JOIN track_and_traces t ON t.id = e.track_and_trace_id AND t.channel_id = e.channel_id
WHERE {visible track_and_traces t};
