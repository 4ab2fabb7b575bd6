-- What happened to shipments: what was written of them, and what carriers told about their codes.

-- The newest of both kinds, capped: a shipment may be reported on without end. Of a change and the news that brought it
-- about, should they bear the same moment, the change is the later.
-- name: by_shipment_ids
-- feeds: ShipmentTimelineEntry, TrackingEvent
SELECT k.id::text AS shipment_id, m.*
FROM unnest(:shipment_ids::uuid[]) AS k (id)
CROSS JOIN LATERAL (
  (
    SELECT 'TRACKING_EVENT' AS kind, e.occurred_at, e.status, NULL::text AS previous_status,
      e.status_rank::bigint AS place, e.id::text, e.track_and_trace_id::text, e.external_id, e.sub_status, e.recorded_at,
      e.expected_delivery_at,
      e.location, e.description
    FROM tracking_events e
    JOIN track_and_traces t ON t.id = e.track_and_trace_id AND t.channel_id = e.channel_id
    WHERE t.shipment_id = k.id AND {visible track_and_traces t}
    ORDER BY e.occurred_at DESC, e.status_rank DESC, e.id DESC
    LIMIT :limit
  )
  UNION ALL
  (
    SELECT 'STATUS_CHANGE', x.occurred_at, c.new ->> 'status', c.old ->> 'status',
      c.id, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
    FROM changes c
    JOIN transactions x ON x.id = c.transaction_id
    WHERE c.shipment_id = k.id AND c.type = 'SHIPMENT' AND c.new ? 'status' AND {visible changes c}
    ORDER BY c.id DESC
    LIMIT :limit
  )
  ORDER BY occurred_at DESC, kind, place DESC, id DESC
  LIMIT :limit
) AS m
ORDER BY m.occurred_at DESC, m.kind, m.place DESC, m.id DESC;

-- name: estimated_deliveries_by_shipment_ids
-- feeds: EstimatedDelivery
SELECT k.id::text AS shipment_id, m.*
FROM unnest(:shipment_ids::uuid[]) AS k (id)
CROSS JOIN LATERAL (
  SELECT c.id, x.occurred_at AS promised_at, (c.new ->> 'expectedDeliveryAt')::timestamptz AS expected_delivery_at,
    (c.old ->> 'expectedDeliveryAt')::timestamptz AS previous_expected_delivery_at
  FROM changes c
  JOIN transactions x ON x.id = c.transaction_id
  WHERE c.shipment_id = k.id AND c.type = 'SHIPMENT' AND c.new ? 'expectedDeliveryAt' AND {visible changes c}
  ORDER BY c.id DESC
  LIMIT :limit
) AS m
ORDER BY m.id DESC;
