SELECT convert_to(json_build_object('data', json_build_object('order', (
  SELECT json_build_object(
    'status', o.status,
    'fulfillmentStatus', CASE
      WHEN f.is_canceled THEN 'CANCELED'
      WHEN f.delivered > 0 AND f.delivered = f.ordered THEN 'DELIVERED'
      WHEN f.delivered > 0 OR f.is_partially_delivered THEN 'PARTIALLY_DELIVERED'
      WHEN f.shipped > 0 AND f.shipped = f.ordered THEN 'SHIPPED'
      WHEN f.shipped > 0 THEN 'PARTIALLY_SHIPPED'
      ELSE 'UNFULFILLED' END,
    'shipments', (
      SELECT coalesce(json_agg(json_build_object(
        'status', s.status,
        'expectedDeliveryAt', to_char(s.expected_delivery_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
        'items', (
          SELECT coalesce(json_agg(json_build_object(
            'name', i.name, 'quantity', i.quantity,
            'orderItem', json_build_object(
              'quantity', l.quantity, 'quantityRemaining', greatest(0, l.quantity - (
                SELECT coalesce(sum(x.quantity) FILTER (WHERE z.status IS DISTINCT FROM 'CANCELED'), 0)
                FROM shipment_items x
                JOIN shipments z ON z.id = x.shipment_id
                WHERE x.order_item_id = l.id)))
          ) ORDER BY i.order_item_id, i.id), '[]')
          FROM shipment_items i
          JOIN order_items l ON l.id = i.order_item_id
          WHERE i.shipment_id = s.id),
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
      FROM shipments s
      WHERE s.order_id = o.id))
  FROM orders o
  CROSS JOIN LATERAL (
    SELECT (SELECT d.customer_status = 'canceled' FROM order_statuses d WHERE d.code = o.status) AS is_canceled,
      coalesce(bool_or(g.is_partially_delivered), false) AS is_partially_delivered,
      coalesce(sum(i.quantity), 0) AS ordered,
      coalesce(sum(least(i.quantity, g.shipped)), 0) AS shipped,
      coalesce(sum(least(i.quantity, g.delivered)), 0) AS delivered
    FROM order_items i
    LEFT JOIN LATERAL (
      SELECT coalesce(sum(x.quantity) FILTER (WHERE s.status IS DISTINCT FROM 'CANCELED'), 0) AS shipped,
        coalesce(sum(x.quantity) FILTER (WHERE s.status = 'DELIVERED'), 0) AS delivered,
        bool_or(s.status = 'PARTIALLY_DELIVERED') AS is_partially_delivered
      FROM shipment_items x
      JOIN shipments s ON s.id = x.shipment_id
      WHERE x.order_item_id = i.id
    ) AS g ON true
    WHERE i.order_id = o.id AND i.class = 'product'
  ) AS f
  WHERE o.id = $1::int)))::text, 'UTF8')
