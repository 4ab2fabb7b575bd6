SELECT convert_to(json_build_object('data', json_build_object('order', (
  SELECT json_build_object(
    'id', o.id, 'status', o.status,
    'items', (
      SELECT coalesce(json_agg(json_build_object(
        'id', l.id, 'name', l.name, 'sku', l.sku, 'quantity', l.quantity) ORDER BY l.id), '[]')
      FROM order_items l
      WHERE l.order_id = o.id),
    'shipments', (
      SELECT coalesce(json_agg(json_build_object(
        'id', s.id, 'status', s.status,
        'expectedDeliveryAt', to_char(s.expected_delivery_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
        'createdAt', to_char(s.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
        'items', (
          SELECT coalesce(json_agg(json_build_object(
            'id', i.id, 'name', i.name, 'sku', i.sku, 'quantity', i.quantity, 'orderItemId', i.order_item_id
          ) ORDER BY i.order_item_id, i.id), '[]')
          FROM shipment_items i
          WHERE i.shipment_id = s.id),
        'trackAndTraces', (
          SELECT coalesce(json_agg(json_build_object(
            'id', t.id, 'code', t.code, 'carrierId', t.carrier_id,
            'carrier', CASE WHEN c.id IS NOT NULL THEN
              json_build_object('id', c.id, 'name', c.name, 'trackAndTraceURL', c.track_and_trace_url) END
          ) ORDER BY t.created_at, t.id), '[]')
          FROM track_and_traces t
          LEFT JOIN carriers c ON c.id = t.carrier_id
          WHERE t.shipment_id = s.id)
      ) ORDER BY s.created_at DESC, s.id), '[]')
      FROM shipments s
      WHERE s.order_id = o.id))
  FROM orders o
  WHERE o.id = $1::int)))::text, 'UTF8')
