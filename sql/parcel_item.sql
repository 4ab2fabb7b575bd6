-- What of a shipment's items is in the parcels of its codes. An order's parcels are visible to whoever sees the order.

-- name: by_track_and_trace_ids
-- feeds: ParcelItem
SELECT p.track_and_trace_id::text, p.shipment_item_id::text, i.order_item_id, coalesce(i.name, l.name) AS name,
  coalesce(i.sku, l.sku) AS sku, p.quantity
FROM parcel_items p
JOIN shipment_items i ON i.id = p.shipment_item_id AND i.channel_id = p.channel_id
JOIN order_items l ON l.id = i.order_item_id AND l.channel_id = i.channel_id
WHERE p.track_and_trace_id = ANY(:track_and_trace_ids::uuid[]) AND {visible parcel_items p}
ORDER BY i.order_item_id, i.id;

-- The items of a shipment, which is locked, and how many of each are in no parcel; null where nobody knows how many there
-- are.
-- name: unpacked
SELECT i.id, i.order_item_id, i.quantity - coalesce(
    (SELECT sum(p.quantity) FROM parcel_items p
      WHERE p.shipment_item_id = i.id AND p.channel_id = i.channel_id AND {visible parcel_items p}), 0)::int AS quantity
FROM shipment_items i
WHERE i.shipment_id = :shipment_id AND i.channel_id = :channel_id AND {visible shipment_items i}
ORDER BY i.order_item_id, i.number;

-- name: unpack
DELETE FROM parcel_items p
WHERE p.track_and_trace_id = ANY(:track_and_trace_ids) AND {visible parcel_items p};

-- name: pack
INSERT INTO parcel_items (track_and_trace_id, shipment_item_id, order_id, channel_id, quantity)
SELECT w.track_and_trace_id, i.id, i.order_id, i.channel_id, w.quantity
FROM unnest(:track_and_trace_ids::uuid[], :shipment_item_ids::uuid[], :quantities::int[])
  AS w (track_and_trace_id, shipment_item_id, quantity)
JOIN shipment_items i ON i.id = w.shipment_item_id
WHERE i.channel_id = :channel_id AND {visible shipment_items i};
