-- Orders as whoever has a link to their page reads them: what is in them, where it is and when it should come. Nothing here
-- tells who ordered, where they live or what they paid; that is so for every viewer. Columns follow the types Tracked….

-- name: by_id
-- feeds: TrackedOrder
SELECT o.id, o.channel_id, coalesce(o.increment_id, o.external_id, o.id::text) AS number, o.created_at AS ordered_at,
  lower(o.language) AS language, c.time_zone AS channel_time_zone, a.country
FROM orders o
LEFT JOIN channels c ON c.id = o.channel_id
LEFT JOIN LATERAL (
  SELECT a.country
  FROM order_addresses a
  WHERE a.order_id = o.id AND a.channel_id = o.channel_id AND a.type = 'delivery'
  ORDER BY a.id
  LIMIT 1
) AS a ON true
WHERE o.id = :id AND {visible orders o};

-- The parts of a bundle hang on its line, which is what was ordered, and are left out.
-- name: items_by_order_ids
-- feeds: TrackedItem
SELECT i.id, i.order_id, i.name, i.quantity, i.quantity_shipped::int, i.quantity_canceled,
  greatest(0, open_quantity(i.quantity, i.quantity_canceled) - i.quantity_shipped)::int AS quantity_remaining,
  {picture} AS picture_url
FROM order_items i
LEFT JOIN products p ON p.id = i.product_id AND p.channel_id = i.channel_id AND {visible products p}
WHERE i.order_id = ANY(:order_ids) AND i.parent_order_item_id IS NULL AND is_shippable_class(i.class)
  AND {visible order_items i}
ORDER BY i.id;

-- fragment: picture
CASE WHEN p.images -> 0 ->> 'url' ~ '^https://' THEN p.images -> 0 ->> 'url' END

-- Oldest first, as the parcels of an order are counted.
-- name: shipments_by_order_ids
-- feeds: TrackedShipment
SELECT s.id::text, s.order_id, s.status, s.sub_status, s.created_at, s.expected_delivery_at,
  {shipment_day} AS expected_delivery_date, was.expected_delivery_at AS formerly_expected_at
FROM shipments s
LEFT JOIN LATERAL (
  SELECT (c.old ->> 'expectedDeliveryAt')::timestamptz AS expected_delivery_at
  FROM changes c
  WHERE c.shipment_id = s.id AND c.type = 'SHIPMENT' AND c.old ->> 'expectedDeliveryAt' IS NOT NULL AND {visible changes c}
  ORDER BY c.id DESC
  LIMIT 1
) AS was ON true
WHERE s.order_id = ANY(:order_ids) AND {visible shipments s}
ORDER BY s.created_at, s.number;

-- fragment: shipment_day
CASE WHEN is_day(s.expected_delivery_at) THEN (s.expected_delivery_at AT TIME ZONE 'UTC')::date::text END

-- fragment: parcel_day
CASE WHEN is_day(t.expected_delivery_at) THEN (t.expected_delivery_at AT TIME ZONE 'UTC')::date::text END

-- name: goods_by_shipment_ids
-- feeds: TrackedGoods
SELECT s.id::text AS shipment_id, x.name, x.quantity, {picture} AS picture_url
FROM shipments s
CROSS JOIN LATERAL customer_goods(s.id, s.channel_id) AS x
LEFT JOIN order_items i ON i.id = x.order_item_id AND i.channel_id = s.channel_id AND {visible order_items i}
LEFT JOIN products p ON p.id = i.product_id AND p.channel_id = i.channel_id AND {visible products p}
WHERE s.id = ANY(:shipment_ids::uuid[]) AND {visible shipments s}
ORDER BY x.number;

-- name: parcels_by_shipment_ids
-- feeds: TrackedParcel
SELECT t.id::text, t.shipment_id::text, t.code, r.name AS carrier_name, r.track_and_trace_url, t.status, t.sub_status,
  t.expected_delivery_at, {parcel_day} AS expected_delivery_date, was.expected_delivery_at AS formerly_expected_at
FROM track_and_traces t
LEFT JOIN carriers r ON r.id = t.carrier_id AND {visible carriers r}
LEFT JOIN LATERAL (
  SELECT (c.old ->> 'expectedDeliveryAt')::timestamptz AS expected_delivery_at
  FROM changes c
  WHERE c.shipment_id = t.shipment_id AND c.type = 'TRACK_AND_TRACE' AND c.entity_id = t.id::text
    AND c.old ->> 'expectedDeliveryAt' IS NOT NULL AND {visible changes c}
  ORDER BY c.id DESC
  LIMIT 1
) AS was ON true
WHERE t.shipment_id = ANY(:shipment_ids::uuid[]) AND {visible track_and_traces t}
ORDER BY t.created_at, t.id;

-- name: goods_by_parcel_ids
-- feeds: TrackedGoods
SELECT k.track_and_trace_id::text, coalesce(x.name, i.name) AS name, k.quantity, {picture} AS picture_url
FROM parcel_items k
JOIN shipment_items x ON x.id = k.shipment_item_id AND x.channel_id = k.channel_id
JOIN order_items i ON i.id = x.order_item_id AND i.channel_id = x.channel_id
LEFT JOIN products p ON p.id = i.product_id AND p.channel_id = i.channel_id AND {visible products p}
WHERE k.track_and_trace_id = ANY(:track_and_trace_ids::uuid[]) AND {visible parcel_items k}
ORDER BY x.order_item_id, x.id;

-- Where it happened is left out where that is somebody's door, and what the carrier wrote, which names neighbours.
-- name: events_by_parcel_ids
-- feeds: TrackedEvent
SELECT e.id::text, e.track_and_trace_id::text, e.status, e.sub_status, e.occurred_at,
  CASE WHEN e.sub_status = 'AT_PICKUP_POINT' OR e.status NOT IN ('DELIVERED', 'PARTIALLY_DELIVERED', 'FAILED_DELIVERY')
    THEN e.location END AS location
FROM unnest(:track_and_trace_ids::uuid[]) AS k (id)
CROSS JOIN LATERAL (
  SELECT e.*
  FROM tracking_events e
  WHERE e.track_and_trace_id = k.id AND {visible tracking_events e}
  ORDER BY e.occurred_at DESC, e.status_rank DESC, e.id DESC
  LIMIT :limit
) AS e
ORDER BY e.occurred_at DESC, e.status_rank DESC, e.id DESC;

-- Which of the links to an order are good.
-- name: links_by_order_ids
SELECT k.order_id, k.generation
FROM order_links k
WHERE k.order_id = ANY(:order_ids) AND {visible order_links k};
