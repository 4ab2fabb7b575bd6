SELECT convert_to(json_build_object('data', json_build_object('customerOrders', json_build_object(
  'totalCount', (SELECT count(*) FROM orders WHERE customer_id = $1::int),
  'edges', (
    SELECT coalesce(json_agg(json_build_object('node', json_build_object(
      '_id', o.id, 'incrementId', coalesce(o.increment_id, o.id::text),
      'status', (SELECT d.customer_status FROM order_statuses d WHERE d.code = o.status),
      'createdAt', to_char(o.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"+00:00"'),
      'totalQtyOrdered', (SELECT coalesce(sum(l.quantity), 0) FROM order_items l WHERE l.order_id = o.id),
      'items', json_build_object('edges', (
        SELECT coalesce(json_agg(json_build_object('node', json_build_object(
          '_id', l.id, 'sku', l.sku, 'name', l.name, 'qtyOrdered', l.quantity)) ORDER BY l.id), '[]')
        FROM order_items l
        WHERE l.order_id = o.id)),
      'shipments', json_build_object('edges', (
        SELECT coalesce(json_agg(json_build_object('node', json_build_object(
          '_id', s.number,
          'status', CASE
            WHEN s.status = 'DELIVERED' THEN 'delivered'
            WHEN s.status = 'CANCELED' THEN 'cancelled'
            WHEN s.status IN ('CREATED', 'PROCESSING') THEN 'pending'
            ELSE 'shipped' END,
          'trackNumber', t.code, 'carrierTitle', t.name)) ORDER BY s.number), '[]')
        FROM shipments s
        LEFT JOIN LATERAL (
          SELECT t.code, c.name
          FROM track_and_traces t
          LEFT JOIN carriers c ON c.id = t.carrier_id
          WHERE t.shipment_id = s.id
          ORDER BY t.created_at, t.id
          LIMIT 1) AS t ON true
        WHERE s.order_id = o.id)),
      'addresses', json_build_object('edges', (
        SELECT coalesce(json_agg(json_build_object('node', json_build_object(
          '_id', a.id::text, 'addressType', CASE a.type WHEN 'invoice' THEN 'billing' ELSE 'shipping' END,
          'name', concat_ws(' ', a.first_name, a.last_name), 'address', concat_ws(' ', a.street, a.number),
          'city', a.city, 'postcode', a.postal_code, 'country', a.country)) ORDER BY a.id), '[]')
        FROM order_addresses a
        WHERE a.order_id = o.id)))) ORDER BY o.id DESC), '[]')
    FROM (SELECT * FROM orders WHERE customer_id = $1::int ORDER BY id DESC LIMIT 10) AS o))))::text, 'UTF8')
