-- Customers, who read no parts of bundles, read what these cost, and what is canceled and paid back of them, with their line.

-- step: say what a line costs with the parts that hang on it
-- What customers read as lines of their own, such as a service, is no part of another. What is canceled and paid back is in
-- packs, as many as the part that is furthest behind makes up. No table is scanned even where it seemed to be empty when
-- the session planned.
CREATE FUNCTION rolled_up(of_line_id int, of_order_id int, in_channel_id int)
RETURNS TABLE (price_total numeric, price_total_net numeric, tax numeric, discount numeric, tax_percentage numeric, canceled int,
  refunded int)
LANGUAGE plpgsql STABLE ROWS 1 SET enable_seqscan = off AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
  WITH RECURSIVE hanging AS (
    SELECT l.id, l.price_total, l.price_total_net, l.tax, l.discount * l.quantity AS discount, l.quantity, l.quantity_canceled,
      l.quantity_refunded, coalesce(l.exact_tax_percentage, l.tax_percentage)::numeric AS percentage, true AS is_part,
      l.quantity AS packs
    FROM order_items l
    WHERE l.id = of_line_id AND l.order_id = of_order_id AND l.channel_id = in_channel_id
    UNION ALL
    SELECT p.id, p.price_total, p.price_total_net, p.tax, p.discount * p.quantity, p.quantity, p.quantity_canceled,
      p.quantity_refunded, coalesce(p.exact_tax_percentage, p.tax_percentage)::numeric, h.is_part AND p.class = 'product',
      h.packs
    FROM hanging h
    JOIN order_items p ON p.parent_order_item_id = h.id AND p.order_id = of_order_id AND p.channel_id = in_channel_id
      AND is_shippable_class(p.class)
  ), parts AS (
    SELECT h.*, h.is_part AND h.id <> of_line_id AND h.quantity > 0 AND NOT is_bundle(h.id, in_channel_id) AS counts
    FROM hanging h
  )
  SELECT sum(p.price_total), sum(p.price_total_net), sum(p.tax), sum(p.discount),
    CASE WHEN count(DISTINCT p.percentage) FILTER (WHERE p.price_total <> 0) > 1 AND sum(p.price_total) <> 0
      THEN round((sum(p.price_total_net) - sum(p.price_total)) * 100 / sum(p.price_total), 2)
      ELSE coalesce(max(p.percentage) FILTER (WHERE p.price_total <> 0), max(p.percentage) FILTER (WHERE p.id = of_line_id))
    END,
    (min(p.packs::bigint * least(p.quantity_canceled, p.quantity) / p.quantity) FILTER (WHERE p.counts))::int,
    (min(p.packs::bigint * least(p.quantity_refunded, p.quantity) / p.quantity) FILTER (WHERE p.counts))::int
  FROM parts p;
END $$;
