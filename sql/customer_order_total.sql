-- Totals of an order that only its page in full shows.

-- The store keeps what is invoiced as one sum with tax, so the goods' part of it is their part of the order.
-- name: by_order_ids
SELECT o.id AS order_id,
  coalesce(round(o.sub_total * o.invoiced_total / nullif(o.total_net, 0), coalesce(minor_units(o.currency), 2)), 0)::float8 AS sub_total_invoiced,
  (
    SELECT coalesce(sum(i.price_total_net), 0)::float8
    FROM order_items i
    WHERE i.order_id = o.id AND i.channel_id = o.channel_id
  ) AS sub_total_incl_tax
FROM orders o
WHERE o.id = ANY(:order_ids) AND {visible orders o};
