WITH found AS MATERIALIZED (
  SELECT count(*)::int AS n FROM shipments WHERE status = ANY($1::text[])
), page AS MATERIALIZED (
  SELECT id, status, order_id, expected_delivery_at, created_at, last_modified_at
  FROM shipments
  WHERE status = ANY($1::text[])
  ORDER BY created_at DESC, id
  LIMIT $3::int OFFSET ($2::int - 1) * $3::int
)
SELECT convert_to(json_build_object('data', json_build_object('shipments', json_build_object(
  'items', coalesce((
    SELECT json_agg(json_build_object(
      'id', s.id, 'status', s.status, 'orderId', s.order_id,
      'expectedDeliveryAt', to_char(s.expected_delivery_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
      'createdAt', to_char(s.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
      'lastModifiedAt', to_char(s.last_modified_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
      'items', (
        SELECT coalesce(json_agg(json_build_object(
          'id', i.id, 'name', i.name, 'sku', i.sku, 'quantity', i.quantity, 'orderItemId', i.order_item_id,
          'orderItem', json_build_object(
            'id', l.id, 'name', l.name, 'sku', l.sku, 'quantity', l.quantity,
            'price', l.price, 'priceNet', l.price_net, 'productId', l.product_id)
        ) ORDER BY i.order_item_id, i.id), '[]')
        FROM shipment_items i
        JOIN order_items l ON l.id = i.order_item_id
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
    ) ORDER BY s.created_at DESC, s.id)
    FROM page s), '[]'),
  'itemsFound', f.n, 'page', $2::int, 'pages', (f.n + $3::int - 1) / $3::int, 'offset', $3::int,
  'start', least(($2::int - 1) * $3::int + 1, f.n), 'end', least($2::int * $3::int, f.n))))::text, 'UTF8')
FROM found f
