SELECT convert_to(json_build_object('data', json_build_object('shipments', json_build_object(
  'itemsFound', (
    SELECT count(*)::int FROM orders o JOIN shipments s ON s.order_id = o.id WHERE o.company_id = $1::int),
  'items', (
    SELECT coalesce(json_agg(json_build_object(
      'id', s.id, 'status', s.status, 'orderId', s.order_id,
      'createdAt', to_char(s.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
      'expectedDeliveryAt', to_char(s.expected_delivery_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
      'trackAndTraces', (
        SELECT coalesce(json_agg(json_build_object(
          'code', t.code,
          'trackingUrl', replace(c.track_and_trace_url, '{code}', t.code),
          'carrier', CASE WHEN c.id IS NOT NULL THEN json_build_object('name', c.name) END
        ) ORDER BY t.created_at, t.id), '[]')
        FROM track_and_traces t
        LEFT JOIN carriers c ON c.id = t.carrier_id
        WHERE t.shipment_id = s.id)
    ) ORDER BY s.created_at DESC, s.id), '[]')
    FROM (
      SELECT s.* FROM orders o JOIN shipments s ON s.order_id = o.id
      WHERE o.company_id = $1::int
      ORDER BY s.created_at DESC, s.id
      LIMIT 25) AS s))))::text, 'UTF8')
