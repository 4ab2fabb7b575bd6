SELECT convert_to(json_build_object('data', json_build_object('shipment', (
  SELECT json_build_object(
    'id', s.id, 'status', s.status, 'orderId', s.order_id,
    'expectedDeliveryAt', to_char(s.expected_delivery_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
    'createdAt', to_char(s.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
    'lastModifiedAt', to_char(s.last_modified_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
    'items', (
      SELECT coalesce(json_agg(json_build_object(
        'id', i.id, 'name', i.name, 'sku', i.sku, 'quantity', i.quantity, 'orderItemId', i.order_item_id,
        'shipmentId', i.shipment_id,
        'orderItem', json_build_object(
          'id', l.id, 'name', l.name, 'sku', l.sku, 'quantity', l.quantity,
          'price', l.price, 'priceNet', l.price_net, 'productId', l.product_id)
      ) ORDER BY i.order_item_id, i.id), '[]')
      FROM shipment_items i
      JOIN order_items l ON l.id = i.order_item_id
      WHERE i.shipment_id = s.id),
    'trackAndTraces', (
      SELECT coalesce(json_agg(json_build_object(
        'id', t.id, 'code', t.code, 'carrierId', t.carrier_id, 'shipmentId', t.shipment_id,
        'createdAt', to_char(t.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
        'carrier', CASE WHEN c.id IS NOT NULL THEN json_build_object(
          'id', c.id, 'name', c.name, 'type', c.type, 'trackAndTraceURL', c.track_and_trace_url, 'logo', c.logo) END
      ) ORDER BY t.created_at, t.id), '[]')
      FROM track_and_traces t
      LEFT JOIN carriers c ON c.id = t.carrier_id
      WHERE t.shipment_id = s.id))
  FROM shipments s
  WHERE s.id = $1::text::uuid)))::text, 'UTF8')
