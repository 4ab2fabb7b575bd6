-- Customers, who read no parts of bundles among the lines of their orders, read none in shipments either (decision 21).

-- step: say what a shipment holds of lines that hang on others
-- The parts of a bundle are one item of the line that their order lists, under the lowest of
-- their numbers, as many packs as they make up here. Parts that make up none, because the others travel apart, and what
-- else hangs on a line keep their names. All of it is of the line that the order lists. No table is scanned even where it
-- seemed to be empty when the session planned.
CREATE FUNCTION packed_goods(of_shipment_id uuid, in_channel_id int)
RETURNS TABLE (number int, order_item_id int, name text, sku text, quantity int, weight numeric)
LANGUAGE plpgsql STABLE ROWS 10 SET enable_seqscan = off AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
  WITH RECURSIVE held AS (
    SELECT x.number, x.order_item_id AS line_id, coalesce(x.name, i.name) AS name, coalesce(x.sku, i.sku) AS sku,
      coalesce(x.quantity, 0) AS quantity, coalesce(x.weight, i.weight * x.quantity) AS weight
    FROM shipment_items x
    JOIN order_items i ON i.id = x.order_item_id AND i.channel_id = x.channel_id
    WHERE x.shipment_id = of_shipment_id AND x.channel_id = in_channel_id AND i.parent_order_item_id IS NOT NULL
  ), climbed AS (
    SELECT h.number, h.line_id, true AS is_part FROM held h
    UNION ALL
    SELECT c.number, i.parent_order_item_id, c.is_part AND i.class = 'product'
    FROM climbed c
    JOIN order_items i ON i.id = c.line_id AND i.channel_id = in_channel_id
    WHERE i.parent_order_item_id IS NOT NULL
  ), placed AS (
    SELECT h.*, c.is_part, t.id AS top_id, t.name AS top_name, t.sku AS top_sku, t.order_id,
      open_quantity(t.quantity, t.quantity_canceled)::bigint AS top_open
    FROM climbed c
    JOIN held h ON h.number = c.number
    JOIN order_items t ON t.id = c.line_id AND t.channel_id = in_channel_id AND t.parent_order_item_id IS NULL
  ), parts AS (
    SELECT DISTINCT p.top_id, p.top_open, p.top_id AS id, p.order_id FROM placed p WHERE p.is_part
    UNION ALL
    SELECT a.top_id, a.top_open, p.id, a.order_id
    FROM parts a
    JOIN order_items p ON p.parent_order_item_id = a.id AND p.order_id = a.order_id AND p.channel_id = in_channel_id
      AND p.class = 'product'
  ), packs AS (
    SELECT a.top_id, min(a.top_open * least(coalesce(h.quantity, 0), o.open) / o.open)::int AS quantity
    FROM parts a
    JOIN order_items l ON l.id = a.id AND l.channel_id = in_channel_id
    CROSS JOIN LATERAL (SELECT open_quantity(l.quantity, l.quantity_canceled)::bigint AS open) o
    LEFT JOIN (SELECT k.line_id, sum(k.quantity) AS quantity FROM held k GROUP BY k.line_id) h ON h.line_id = a.id
    WHERE o.open > 0 AND NOT is_bundle(l.id, in_channel_id)
    GROUP BY a.top_id
  )
  SELECT min(p.number), p.top_id, p.top_name, p.top_sku, k.quantity, sum(p.weight)
  FROM placed p
  JOIN packs k ON k.top_id = p.top_id AND k.quantity > 0
  WHERE p.is_part
  GROUP BY p.top_id, p.top_name, p.top_sku, k.quantity
  UNION ALL
  SELECT p.number, p.top_id, p.name, p.sku, p.quantity, p.weight
  FROM placed p
  LEFT JOIN packs k ON k.top_id = p.top_id
  WHERE NOT (p.is_part AND coalesce(k.quantity, 0) > 0);
END $$;

-- step: say what a shipment holds
-- Most hold nothing that hangs on another line. That is looked for among what the shipment holds, never among all that
-- hangs somewhere: hence the sign.
CREATE FUNCTION customer_goods(of_shipment_id uuid, in_channel_id int)
RETURNS TABLE (number int, order_item_id int, name text, sku text, quantity int, weight numeric) LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT x.number, x.order_item_id, coalesce(x.name, i.name), coalesce(x.sku, i.sku), coalesce(x.quantity, 0),
    coalesce(x.weight, i.weight * x.quantity)
  FROM shipment_items x
  JOIN order_items i ON i.id = x.order_item_id AND i.channel_id = x.channel_id
  WHERE x.shipment_id = of_shipment_id AND x.channel_id = in_channel_id AND i.parent_order_item_id IS NULL
  UNION ALL
  SELECT g.number, g.order_item_id, g.name, g.sku, g.quantity, g.weight
  FROM (
    SELECT x.id
    FROM shipment_items x
    JOIN order_items i ON i.id = x.order_item_id AND i.channel_id = x.channel_id
    WHERE x.shipment_id = of_shipment_id AND x.channel_id = in_channel_id AND +i.parent_order_item_id IS NOT NULL
    LIMIT 1
  ) AS hanging
  CROSS JOIN LATERAL packed_goods(of_shipment_id, in_channel_id) AS g;
END;
