-- The codes of shipments as their customer reads them: where each parcel is, and where it can be followed.

-- The word for a status is that of shipments: see sql/customer_shipment.sql.
-- name: by_shipment_ids
-- feeds: CustomerTracking
SELECT t.shipment_id::text, t.code, t.code AS number, c.track_and_trace_url, c.name AS carrier_title,
  trim('_' FROM regexp_replace(lower(c.name), '[^a-z0-9]+', '_', 'g')) AS carrier_code,
  CASE
    WHEN t.status = 'DELIVERED' THEN 'delivered'
    WHEN t.status = 'CANCELED' THEN 'cancelled'
    WHEN t.status IN ('IN_TRANSIT', 'OUT_FOR_DELIVERY', 'PARTIALLY_DELIVERED', 'FAILED_DELIVERY', 'EXCEPTION') THEN 'shipped'
    ELSE 'pending'
  END AS status,
  lower(t.status) AS carrier_status, lower(t.sub_status) AS sub_status,
  to_char(coalesce(t.expected_delivery_at, s.expected_delivery_at) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"+00:00"')
    AS expected_delivery_at,
  lower(newest.status) AS event_status, lower(newest.sub_status) AS event_sub_status,
  to_char(newest.occurred_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"+00:00"') AS event_occurred_at,
  newest.location AS event_location, newest.description AS event_description
FROM shipments s
JOIN track_and_traces t ON t.shipment_id = s.id AND t.channel_id = s.channel_id
LEFT JOIN carriers c ON c.id = t.carrier_id AND {visible carriers c}
LEFT JOIN LATERAL (
  SELECT e.* FROM tracking_events e
  WHERE e.track_and_trace_id = t.id AND e.channel_id = t.channel_id
  ORDER BY e.occurred_at DESC, e.status_rank DESC, e.id DESC
  LIMIT 1
) newest ON true
WHERE s.id = ANY(:shipment_ids::uuid[]) AND {visible shipments s}
ORDER BY t.created_at, t.id;
