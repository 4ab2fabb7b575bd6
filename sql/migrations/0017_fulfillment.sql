-- Orders are found by how far they are fulfilled as the order itself says it: with classes, bundles and cancellations
-- (decision 21).

-- step: say how far an order is fulfilled
-- As `fulfillmentStatus` of the order has it. `is_open`: some of it is still to be shipped.
CREATE OR REPLACE FUNCTION fulfillment_of_order(
  of_order_id int, of_channel_id int, OUT status text, OUT is_open boolean
) LANGUAGE plpgsql STABLE AS $$
BEGIN
  SELECT CASE
      WHEN d.is_canceled OR p.canceled > 0 AND p.ordered = 0 THEN 'CANCELED'
      WHEN p.lines > 0 AND p.delivered = p.ordered THEN 'DELIVERED'
      WHEN p.delivered > 0 OR EXISTS (
        SELECT FROM shipments s
        WHERE s.order_id = of_order_id AND s.channel_id = of_channel_id AND s.status = 'PARTIALLY_DELIVERED'
          AND EXISTS (SELECT FROM shipment_items x WHERE x.shipment_id = s.id AND x.channel_id = s.channel_id)
      ) THEN 'PARTIALLY_DELIVERED'
      WHEN p.shipped > 0 AND p.shipped = p.ordered THEN 'SHIPPED'
      WHEN p.shipped > 0 THEN 'PARTIALLY_SHIPPED'
      ELSE 'UNFULFILLED'
    END,
    p.shipped < p.ordered AND NOT coalesce(d.is_canceled, false)
  INTO status, is_open
  FROM order_progress(of_order_id, of_channel_id) AS p
  CROSS JOIN (
    SELECT (
      SELECT w.customer_status = 'canceled' FROM orders o JOIN order_statuses w ON w.code = o.status
      WHERE o.id = of_order_id AND o.channel_id = of_channel_id
    ) AS is_canceled
  ) AS d;
END $$;

-- step: note how far the orders of before are done
CREATE TABLE orders_found (
  fulfillment_to int NOT NULL
);
COMMENT ON TABLE orders_found IS 'the last order of before that a migration has counted';
INSERT INTO orders_found (fulfillment_to) VALUES (-2147483648);

-- step (in batches): count how far they are fulfilled
-- A row that somebody writes meanwhile is waited for, and counted as it is then.
WITH batch AS (
  SELECT DISTINCT o.id FROM orders o WHERE o.id > (SELECT p.fulfillment_to FROM orders_found p) ORDER BY o.id LIMIT 1000
), moved AS (
  UPDATE orders_found SET fulfillment_to = (SELECT max(b.id) FROM batch b) WHERE EXISTS (SELECT FROM batch)
)
INSERT INTO order_fulfillments AS f (order_id, channel_id, status, is_open)
SELECT o.id, o.channel_id, g.status, g.is_open
FROM batch b
JOIN orders o ON o.id = b.id
CROSS JOIN LATERAL fulfillment_of_order(o.id, o.channel_id) AS g
ORDER BY o.id, o.channel_id
ON CONFLICT (order_id, channel_id) DO UPDATE
SET (status, is_open) = (SELECT g.status, g.is_open FROM fulfillment_of_order(f.order_id, f.channel_id) AS g);

-- step: forget how far that was
DROP TABLE orders_found;
